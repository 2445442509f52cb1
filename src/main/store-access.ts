import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { Fault } from "../fault/fault.ts";
import type { MySqlRole, MySqlSpec } from "../mesh/store-spec.ts";
import type { MySqlLogin, MySqlServer } from "../mysql/mysql-server.ts";

/** The server that a manifest names, its certificates read. Paths start at the manifest's directory. */
export async function serverAccess(spec: MySqlSpec, directory: string): Promise<MySqlServer> {
  const { host, port, dialect, tls } = spec;
  const ca = tls?.ca === undefined ? undefined : await readSecret(resolve(directory, tls.ca), "certificates");
  return { host, port, dialect, tls: tls === undefined ? undefined : { ca } };
}

/** A user with its password, taken from where the manifest says. Fault `invalid-manifest`: it is not there. */
export async function loginAccess(spec: MySqlSpec, role: MySqlRole, directory: string): Promise<MySqlLogin> {
  const { name, password } = spec.users[role];
  if ("file" in password) {
    // A file made by an editor or `echo` ends in a line break, and no password does.
    const text = await readSecret(resolve(directory, password.file), `the password of ${role} user "${name}"`);
    return { user: name, password: text.replace(/\r?\n$/, "") };
  }
  const value = process.env[password.environment];
  if (value === undefined) {
    throw new Fault(
      "invalid-manifest",
      `read the password of ${role} user "${name}": the environment has no ${password.environment}`,
    );
  }
  return { user: name, password: value };
}

async function readSecret(path: string, what: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw new Fault("invalid-manifest", `read ${what}: ${(error as Error).message}`, {}, error);
  }
}
