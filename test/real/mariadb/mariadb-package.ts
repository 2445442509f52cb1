import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { cachePath } from "../../../bench/harness/tool/tool-cache.ts";

/** A MariaDB server that can be started: the program, what it needs to load, and its SQL of the system tables. */
export interface MariaDbProgram {
  readonly mariadbd: string;
  /** Directories of libraries that came with it; empty: the system's do. */
  readonly libraries: readonly string[];
  /** `mysql_system_tables.sql`, messages, character sets. */
  readonly share: string;
}

/** The package holds the server alone: no service, no user, no configuration of the system. */
const PACKAGE = "mariadb-server-core";

/**
 * The system's MariaDB, else Debian's package with what it depends on and the system lacks, unpacked into the cache.
 * Nothing is installed and no service started: the packages' scripts never run.
 */
export function mariaDbProgram(): MariaDbProgram {
  return programBelow("/") ?? unpacked();
}

function unpacked(): MariaDbProgram {
  const directory = cachePath("mariadb-server-core");
  const there = programBelow(directory);
  if (there !== undefined) return there;
  const beside = `${directory}.${process.pid}`;
  const packages = join(beside, "packages");
  mkdirSync(join(packages, "partial"), { recursive: true });
  download(packages, beside);
  for (const name of readdirSync(packages)) {
    if (name.endsWith(".deb")) execFileSync("dpkg-deb", ["-x", join(packages, name), beside]);
  }
  rmSync(packages, { recursive: true });
  // Whoever unpacks it at the same time has the same.
  rmSync(directory, { recursive: true, force: true });
  renameSync(beside, directory);
  const program = programBelow(directory);
  if (program === undefined) throw new Error(`${PACKAGE} in ${directory} has no usr/sbin/mariadbd`);
  return program;
}

/** With the lists of packages that there are; where they are missing or too old, with newly fetched ones of our own. */
function download(packages: string, directory: string): void {
  const get = (...args: string[]) => {
    execFileSync("apt-get", ["-y", "-qq", "-o", "Debug::NoLocking=1", ...args], {
      stdio: ["ignore", "ignore", "pipe"],
    });
  };
  const only = ["--download-only", "--no-install-recommends", "-o", `Dir::Cache::archives=${packages}`];
  try {
    get(...only, "install", PACKAGE);
  } catch {
    const lists = join(directory, "lists");
    mkdirSync(join(lists, "partial"), { recursive: true });
    const own = ["-o", `Dir::State::lists=${lists}`];
    get(...own, "update");
    get(...own, ...only, "install", PACKAGE);
    rmSync(lists, { recursive: true });
  }
}

function programBelow(root: string): MariaDbProgram | undefined {
  const mariadbd = join(root, "usr/sbin/mariadbd");
  const share = ["usr/share/mysql", "usr/share/mariadb"]
    .map((path) => join(root, path))
    .find((path) => existsSync(join(path, "mysql_system_tables.sql")));
  if (!existsSync(mariadbd) || share === undefined) return undefined;
  return { mariadbd, share, libraries: root === "/" ? [] : librariesBelow(root) };
}

/** `usr/lib/<machine>` and `lib/<machine>`, as far as they are there. */
function librariesBelow(root: string): string[] {
  return ["usr/lib", "lib"].flatMap((path) => {
    const directory = join(root, path);
    if (!existsSync(directory)) return [];
    return readdirSync(directory, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && entry.name.endsWith("-linux-gnu"))
      .map((entry) => join(directory, entry.name));
  });
}
