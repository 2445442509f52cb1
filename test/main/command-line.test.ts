import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, describe, expect, test } from "vitest";

const ROOT = resolve(import.meta.dirname, "../..");
const SKYNETES = join(ROOT, "bin/skynetes");
const directory = mkdtempSync(join(tmpdir(), "skynetes-main-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function run(args: readonly string[], env: Record<string, string> = {}, program = SKYNETES) {
  return new Promise<{ code: number; stdout: string; stderr: string }>((done) => {
    execFile(program, args, { cwd: directory, env: { ...process.env, ...env } }, (error, stdout, stderr) => {
      done({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

const COMMANDS = [
  ["up"],
  ["produce"],
  ["gateway"],
  ["node"],
  ["service"],
  ["query"],
  ["explain"],
  ...["create", "list", "show", "bind", "pin", "retire", "plan"].map((name) => ["snapshot", name]),
];

describe("help", () => {
  test("of the program lists every command and the exit codes", async () => {
    const { code, stdout } = await run(["--help"]);
    expect(code).toBe(0);
    for (const [name] of COMMANDS) expect(stdout).toContain(`  ${name}`);
    expect(stdout).toContain("Exit codes:");
  });

  test.each(COMMANDS.map((command) => [command.join(" "), command]))("of %s has an example", async (_, command) => {
    const { code, stdout } = await run([...(command as string[]), "--help"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/Examples?:\n {2}\$ skynetes /);
  });

  test("bin/skynetes works through a link, from any directory", async () => {
    const link = join(directory, "link");
    symlinkSync(SKYNETES, link);
    expect((await run(["--version"], {}, link)).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});

describe("a command line that is wrong ends with 2 and says why", () => {
  test.each([
    ["an unknown command", ["upp"], "Did you mean up?"],
    ["an unknown option", ["up", "--http-prot", "1"], "--http-port"],
    ["a port that is none", ["up", "--http-port", "99999"], "0 to 65535"],
    ["a missing argument", ["query", "h1-2001"], "missing required argument 'call'"],
    ["a share above one", ["query", "a", "b.C/D", "--min", "2"], "A share is from 0 to 1"],
    ["a time that is none", ["snapshot", "create", "--as-of", "yesterday"], "2001-04-01T00:00Z"],
    ["a binding that is none", ["snapshot", "bind", "a", "b"], "service=version"],
    ["an output that is none", ["snapshot", "list", "-o", "xml"], "table, json"],
    ["a version name that is none", ["service", "--module", "x.ts", "--version", "v1"], "hash8"],
    ["a listen address that is none", ["node", "--node", "a", "--listen", "4711"], "host:port"],
  ])("%s", async (_, args, message) => {
    const { code, stdout, stderr } = await run(args);
    expect(stderr).toContain(message);
    expect(code).toBe(2);
    expect(stdout).toBe("");
  });

  test("a port in the environment is checked too", async () => {
    const { code, stderr } = await run(["up"], { SKYNETES_HTTP_PORT: "http" });
    expect(code).toBe(2);
    expect(stderr).toContain("SKYNETES_HTTP_PORT");
  });
});

describe("what is wrong with the world is told in one line", () => {
  test("a manifest that is not there: 78", async () => {
    const { code, stderr } = await run(["up", "-m", "nowhere.yaml"]);
    expect(code).toBe(78);
    expect(stderr).toMatch(/^error: read manifest nowhere\.yaml: ENOENT/);
    expect(stderr).not.toContain("    at ");
  });

  test("a manifest with mistakes lists all of them, and nothing is created", async () => {
    const file = join(directory, "bad.yaml");
    writeFileSync(
      file,
      "apiVersion: skynetes.io/v1alpha1\nkind: Mesh\nmetadata: { name: Bad Name }\nspec: { shards: 0, nodez: [] }\n",
    );
    const { code, stderr } = await run(["up", "-m", file, "--data-dir", join(directory, "never")]);
    expect(code).toBe(78);
    for (const mistake of ["Bad Name", "shards", "nodez"]) expect(stderr).toContain(mistake);
    expect(existsSync(join(directory, "never"))).toBe(false);
  });

  test("a service module that does not load: 78; --verbose tells where it came from", async () => {
    const file = join(directory, "broken.ts");
    writeFileSync(file, "throw new Error('no such planet');\n");
    const args = ["service", "--module", file, "--version", "a-v1-0a1b2c3d"];
    const short = await run(args);
    expect(short.code).toBe(78);
    expect(short.stderr).toMatch(/^error: load service module ".*broken\.ts": no such planet\n$/);
    expect((await run(["--verbose", ...args])).stderr).toContain("    at ");
  });

  test("no mesh where one is looked for", async () => {
    const { code, stderr } = await run(["query", "a", "b.C/D"]);
    expect(code).toBe(1);
    expect(stderr).toContain("find the mesh of .skynetes: none runs there; start it with 'skynetes up'");
  });

  test("a gateway that does not answer", async () => {
    const { code, stderr } = await run(["query", "a", "b.C/D", "--gateway", "http://127.0.0.1:1"]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error: ask b\.C\/D at a on http:\/\/127\.0\.0\.1:1: .*ECONNREFUSED/);
  });

  test("a file that cannot be loaded", async () => {
    const { code, stderr } = await run(["produce", "t", "nowhere.csv"]);
    expect(code).toBe(1);
    expect(stderr).toContain("nowhere.csv");
  });
});
