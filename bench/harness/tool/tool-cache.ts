import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/** Tools and peers that are built once for all checkouts of this machine. */
export function cachePath(name: string): string {
  return join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "skynetes", name);
}

/** A program of a Go module by its path and version, built from the module proxy. Returns the executable. */
export function goTool(name: string, packagePath: string, version: string): string {
  const directory = cachePath(`${name}-${version}`);
  const executable = join(directory, name);
  if (!existsSync(executable)) {
    mkdirSync(directory, { recursive: true });
    const env = { ...process.env, GOBIN: directory };
    execFileSync("go", ["install", `${packagePath}@${version}`], { env, stdio: ["ignore", "ignore", "inherit"] });
  }
  return executable;
}

/** A Go program of this repository, built anew when its sources have changed. Returns the executable. */
export function goProgram(name: string, sources: string): string {
  const digest = createHash("sha256").update(execFileSync("go", ["version"]));
  for (const file of readdirSync(sources, { recursive: true, encoding: "utf8" }).sort()) {
    if (/\.(go|mod|sum)$/.test(file)) digest.update(file).update(readFileSync(join(sources, file)));
  }
  const directory = cachePath(`${name}-${digest.digest("hex").slice(0, 16)}`);
  const executable = join(directory, name);
  if (!existsSync(executable)) {
    mkdirSync(directory, { recursive: true });
    // Built beside and renamed: who looks meanwhile sees all of it or nothing.
    const beside = `${executable}.${process.pid}`;
    execFileSync("go", ["build", "-trimpath", "-o", beside, "."], {
      cwd: sources,
      stdio: ["ignore", "ignore", "inherit"],
    });
    renameSync(beside, executable);
  }
  return executable;
}
