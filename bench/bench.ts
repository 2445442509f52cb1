/**
 * `npm run bench -- NAME [--out DIRECTORY] [options]`: runs one benchmark; prints a table for people and writes
 * `bench/out/NAME.json` for programs. What is measured, and how, stands at the head of each benchmark and in RESULTS.md.
 *
 * A benchmark is a file in `micro/` (one program measured from inside) or `load/` (processes under load) that exports
 * `run(options)`.
 */
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { join, relative, resolve } from "node:path";

export interface BenchReport {
  readonly rows: readonly Record<string, string | number>[];
  readonly notes?: readonly string[];
}

const HERE = import.meta.dirname;
const known = new Map(
  ["micro", "load"].flatMap((folder) =>
    readdirSync(join(HERE, folder))
      .filter((file) => file.endsWith(".ts"))
      .map((file) => [file.slice(0, -3), `./${folder}/${file}`] as const),
  ),
);

const [name, ...given] = process.argv.slice(2);
const [outDirectory, options] =
  given[0] === "--out" ? [resolve(given[1] ?? "."), given.slice(2)] : [join(HERE, "out"), given];
const file = known.get(name ?? "");
if (name === undefined || file === undefined) {
  console.error(`usage: npm run bench -- NAME [options]\nnames: ${[...known.keys()].sort().join(", ")}`);
  process.exit(2);
}

const startedAt = performance.now();
const { run } = (await import(file)) as { run(options: readonly string[]): Promise<BenchReport> };
const report = await run(options);
const seconds = Math.round((performance.now() - startedAt) / 1000);
console.table(report.rows);
for (const note of report.notes ?? []) console.log(note);

const machine = {
  cpu: cpus()[0]?.model,
  cores: cpus().length,
  memoryGiB: Math.round(totalmem() / 2 ** 30),
  node: process.version,
};
mkdirSync(outDirectory, { recursive: true });
const out = join(outDirectory, `${name}.json`);
writeFileSync(out, `${JSON.stringify({ name, options, machine, seconds, ...report }, null, 2)}\n`);
console.log(`took ${seconds} s; written: ${relative(process.cwd(), out)}`);
// Sockets of peers that were stopped may linger; everything that was measured has been said.
process.exit(0);
