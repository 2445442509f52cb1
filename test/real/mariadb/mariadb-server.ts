import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { type MariaDbProgram, mariaDbProgram } from "./mariadb-package.ts";

const READY_MS = 60_000;

/**
 * One MariaDB of its own: own data directory, own free port on loopback, and only InnoDB's durability that the store
 * relies on. `root` has no password and comes from loopback alone.
 */
export class MariaDbServer {
  readonly port: number;
  readonly #directory: string;
  readonly #program: MariaDbProgram;
  #process: ChildProcess;

  private constructor(directory: string, program: MariaDbProgram, port: number, started: ChildProcess) {
    this.#directory = directory;
    this.#program = program;
    this.port = port;
    this.#process = started;
  }

  static async start(): Promise<MariaDbServer> {
    const program = mariaDbProgram();
    const directory = mkdtempSync(join(tmpdir(), "skynetes-mariadb-"));
    makeSystemTables(program, directory);
    const port = await freePort();
    const server = new MariaDbServer(directory, program, port, run(program, directory, port));
    await server.#ready();
    return server;
  }

  /** As a power cut would: nothing is flushed, no connection is ended. */
  async kill(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#ended();
  }

  /** After `kill`, at the same port with the same data. */
  async restart(): Promise<void> {
    this.#process = run(this.#program, this.#directory, this.port);
    await this.#ready();
  }

  async stop(): Promise<void> {
    this.#process.kill("SIGTERM");
    await this.#ended();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  async #ended(): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) await once(this.#process, "exit");
  }

  async #ready(): Promise<void> {
    for (const end = Date.now() + READY_MS; !(await answers(this.port)); ) {
      const died = this.#process.exitCode !== null || this.#process.signalCode !== null;
      if (died || Date.now() > end) {
        throw new Error(`mariadbd did not start:\n${readFileSync(join(this.#directory, "log"), "utf8").slice(-4000)}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

function makeSystemTables(program: MariaDbProgram, directory: string): void {
  mkdirSync(join(directory, "data"));
  const sql = ["mysql_system_tables.sql", "mysql_system_tables_data.sql"].map((name) =>
    readFileSync(join(program.share, name), "utf8"),
  );
  const made = spawnSync(program.mariadbd, [...settings(program, directory), "--bootstrap"], {
    env: environment(program),
    input: ["CREATE DATABASE mysql;\nUSE mysql;", "SET @auth_root_socket = NULL;", ...sql].join("\n"),
    encoding: "utf8",
  });
  if (made.status !== 0) throw new Error(`mariadbd --bootstrap: ${made.error?.message ?? made.stderr}`);
}

function run(program: MariaDbProgram, directory: string, port: number): ChildProcess {
  const log = openSync(join(directory, "log"), "a");
  return spawn(
    program.mariadbd,
    [...settings(program, directory), "--bind-address=127.0.0.1", `--port=${port}`, "--skip-name-resolve"],
    { env: environment(program), stdio: ["ignore", log, log] },
  );
}

function settings(program: MariaDbProgram, directory: string): string[] {
  return [
    "--no-defaults",
    `--user=${userInfo().username}`,
    `--datadir=${join(directory, "data")}`,
    `--socket=${join(directory, "socket")}`,
    `--pid-file=${join(directory, "pid")}`,
    `--tmpdir=${directory}`,
    `--lc-messages-dir=${program.share}`,
    `--character-sets-dir=${join(program.share, "charsets")}`,
    "--plugin-dir=",
    // Small, since tests run beside it; durable at every commit, which the crash tests rely on.
    "--innodb-buffer-pool-size=64M",
    "--innodb-log-file-size=32M",
    "--innodb-flush-log-at-trx-commit=1",
    "--default-storage-engine=InnoDB",
  ];
}

function environment({ libraries }: MariaDbProgram): NodeJS.ProcessEnv {
  return libraries.length === 0 ? process.env : { ...process.env, LD_LIBRARY_PATH: libraries.join(":") };
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    const end = (answered: boolean) => {
      socket.destroy();
      resolve(answered);
    };
    // The greeting, not the connection: that is taken before the server has read its tables.
    socket.once("data", () => end(true)).once("error", () => end(false));
    socket.once("close", () => resolve(false));
  });
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}
