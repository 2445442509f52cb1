import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import { afterAll, expect, test } from "vitest";

const ROOT = resolve(import.meta.dirname, "../..");
const copy = mkdtempSync(join(tmpdir(), "skynetes-generate-"));
afterAll(() => rmSync(copy, { recursive: true, force: true }));

function contents(folder: string): Record<string, string> {
  return Object.fromEntries(
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .map((file) => [relative(folder, file), readFileSync(file, "utf8")]),
  );
}

test("the committed generated code is what the protocol files generate", () => {
  for (const path of [
    "proto",
    "examples/flights",
    "bench/proto",
    "bench/buf.gen.yaml",
    "buf.yaml",
    "buf.gen.yaml",
    "package.json",
  ]) {
    cpSync(join(ROOT, path), join(copy, path), { recursive: true });
  }
  symlinkSync(join(ROOT, "node_modules"), join(copy, "node_modules"));
  const bin = join(ROOT, "node_modules/.bin");
  const env = { ...process.env, PATH: `${bin}:${process.env.PATH}` };
  execFileSync(join(bin, "buf"), ["generate"], { cwd: copy, env });
  for (const template of ["examples/flights/buf.gen.yaml", "bench/buf.gen.yaml"]) {
    execFileSync(join(bin, "buf"), ["generate", "--template", template], { cwd: copy, env });
  }
  expect(contents(join(copy, "src/wire/generated"))).toEqual(contents(join(ROOT, "src/wire/generated")));
  expect(contents(join(copy, "examples/flights/generated"))).toEqual(
    contents(join(ROOT, "examples/flights/generated")),
  );
  expect(contents(join(copy, "bench/generated"))).toEqual(contents(join(ROOT, "bench/generated")));
});
