/**
 * `npm run bench -- NAME [options]`: runs one benchmark; prints a table for people and writes `bench/out/NAME.json` for
 * programs. What is measured, and how, stands at the head of each benchmark and in RESULTS.md.
 */
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { join } from "node:path";

export interface BenchReport {
  readonly rows: readonly Record<string, string | number>[];
  readonly notes?: readonly string[];
}

const HERE = import.meta.dirname;
const known = readdirSync(join(HERE, "micro"))
  .filter((file) => file.endsWith(".ts"))
  .map((file) => file.slice(0, -3));

const [name, ...options] = process.argv.slice(2);
if (name === undefined || !known.includes(name)) {
  console.error(`usage: npm run bench -- NAME\nnames: ${known.join(", ")}`);
  process.exit(2);
}

const { run } = (await import(`./micro/${name}.ts`)) as { run(options: readonly string[]): Promise<BenchReport> };
const report = await run(options);
console.table(report.rows);
for (const note of report.notes ?? []) console.log(note);

const machine = {
  cpu: cpus()[0]?.model,
  cores: cpus().length,
  memoryGiB: Math.round(totalmem() / 2 ** 30),
  node: process.version,
};
mkdirSync(join(HERE, "out"), { recursive: true });
const out = join(HERE, "out", `${name}.json`);
writeFileSync(out, `${JSON.stringify({ name, options, machine, ...report }, null, 2)}\n`);
console.log(`written: bench/out/${name}.json`);
