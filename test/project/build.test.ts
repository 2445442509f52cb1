import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";

const ROOT = resolve(import.meta.dirname, "../..");
const copy = mkdtempSync(join(tmpdir(), "skynetes-build-"));
const node = join(ROOT, "node_modules/.bin/node");

beforeAll(() => {
  for (const path of ["src", "proto", "deploy", "package.json", "tsconfig.json", "tsconfig.build.json"]) {
    cpSync(join(ROOT, path), join(copy, path), { recursive: true });
  }
  for (const path of ["README.md", "CHANGELOG.md", "LICENSE"]) cpSync(join(ROOT, path), join(copy, path));
  symlinkSync(join(ROOT, "node_modules"), join(copy, "node_modules"));
  const PATH = `${join(ROOT, "node_modules/.bin")}:${process.env.PATH}`;
  execFileSync("npm", ["run", "build"], { cwd: copy, env: { ...process.env, PATH }, stdio: "pipe" });
});
afterAll(() => rmSync(copy, { recursive: true, force: true }));

test("the published package has code and types for every export, and not the bundled Node", () => {
  const published = JSON.parse(readFileSync(join(copy, "dist/package.json"), "utf8"));
  const files = [...JSON.stringify([published.exports, published.bin]).matchAll(/"(?:\.\/)?([^"]+\.(?:js|d\.ts))"/g)];
  expect(files.length).toBeGreaterThanOrEqual(7);
  expect(files.map((match) => match[1] as string).filter((file) => !existsSync(join(copy, "dist", file)))).toEqual([]);
  expect(JSON.stringify(published)).not.toContain("node-linux");
  expect(published.devDependencies).toBeUndefined();
});

test("the emitted command line runs without TypeScript", () => {
  const help = execFileSync(node, ["--no-strip-types", join(copy, "dist/main/skynetes.js"), "--help"]).toString();
  for (const command of ["up", "produce", "gateway", "node", "service", "snapshot", "query", "explain"]) {
    expect(help).toContain(command);
  }
});

test("merge threads start from the emitted code", () => {
  const from = (path: string) => JSON.stringify(join(copy, "dist", path));
  // A service without merge rules: the thread says what is wrong with it.
  const program = `
    const { MergeThreads } = await import(${from("gateway/merge-threads/merge-threads.js")});
    const { systemClock } = await import(${from("process/clock.js")});
    const { GatewayService } = await import(${from("wire/generated/skynetes/v1/gateway_pb.js")});
    const end = (code, text) => { console.log(text); process.exit(code); };
    new MergeThreads(1, systemClock).take({ method: GatewayService.methods[0] }, {
      failed: (fault) => end(0, fault.message),
      lost: (fault) => end(1, fault.message),
    });`;
  const told = execFileSync(node, ["--no-strip-types", "--input-type=module", "-e", program]).toString();
  expect(told).toContain("skynetes.v1");
});

test("the exports can be imported", () => {
  const program = `
    const { defineService } = await import(${JSON.stringify(join(copy, "dist/service/define-service.js"))});
    const { merge } = await import(${JSON.stringify(join(copy, "dist/wire/generated/skynetes/v1/merge_pb.js"))});
    if (typeof defineService !== "function" || merge.typeName !== "skynetes.v1.merge") process.exit(1);`;
  execFileSync(node, ["--no-strip-types", "--input-type=module", "-e", program]);
});
