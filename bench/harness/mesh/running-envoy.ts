import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { request } from "undici";
import { envoyPath } from "../tool/envoy.ts";

const READY_MS = 60_000;
const LOOK_MS = 50;
/** Istio's sidecars have two worker threads. */
const WORKERS = "2";
/** Ends with us: the shell's stdin is a pipe that we hold. */
const UNTIL_STDIN_ENDS = '"$@" & echo $!; cat >/dev/null; kill $!; wait $!';

/** One Envoy with a static configuration; its ports are the machine's choice. */
export class RunningEnvoy {
  readonly pid: number;
  readonly #shell: ChildProcess;
  readonly #directory: string;
  readonly #ports: ReadonlyMap<string, number>;

  private constructor(parts: {
    readonly pid: number;
    readonly shell: ChildProcess;
    readonly directory: string;
    readonly ports: ReadonlyMap<string, number>;
  }) {
    this.pid = parts.pid;
    this.#shell = parts.shell;
    this.#directory = parts.directory;
    this.#ports = parts.ports;
  }

  static async start(config: object, baseId: number): Promise<RunningEnvoy> {
    const directory = mkdtempSync(join(tmpdir(), "skynetes-bench-envoy-"));
    const configFile = join(directory, "envoy.json");
    const adminFile = join(directory, "admin");
    const logFile = join(directory, "log");
    writeFileSync(configFile, JSON.stringify(config));
    const argv = ["-c", configFile, "--admin-address-path", adminFile, "--concurrency", WORKERS];
    const quiet = ["--log-path", logFile, "--log-level", "warning", "--base-id", String(baseId)];
    const shell = spawn("sh", ["-c", UNTIL_STDIN_ENDS, "sh", envoyPath(), ...argv, ...quiet], {
      stdio: ["pipe", "pipe", "ignore"],
    });
    shell.stdin?.on("error", () => {});
    const pid = await new Promise<number>((resolve) =>
      createInterface({ input: shell.stdout! }).once("line", (line) => resolve(Number(line))),
    );
    const ports = await listenersWhenReady(adminFile, () => (shell.exitCode === null ? undefined : readText(logFile)));
    return new RunningEnvoy({ pid, shell, directory, ports });
  }

  portOf(listener: string): number {
    const port = this.#ports.get(listener);
    if (port === undefined) throw new Error(`envoy has no listener ${listener}`);
    return port;
  }

  async stop(): Promise<void> {
    if (this.#shell.exitCode === null) {
      const ended = new Promise((done) => this.#shell.once("exit", done));
      this.#shell.stdin?.end();
      await ended;
    }
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

interface ListenerStatuses {
  readonly listener_statuses?: readonly {
    readonly name: string;
    readonly local_address: { readonly socket_address: { readonly port_value: number } };
  }[];
}

async function listenersWhenReady(
  adminFile: string,
  ended: () => string | undefined,
): Promise<ReadonlyMap<string, number>> {
  const until = performance.now() + READY_MS;
  for (;;) {
    const died = ended();
    if (died !== undefined) throw new Error(`envoy ended: ${died}`);
    try {
      const admin = readFileSync(adminFile, "utf8").trim();
      const ready = await request(`http://${admin}/ready`);
      await ready.body.dump();
      if (ready.statusCode === 200) {
        const { body } = await request(`http://${admin}/listeners?format=json`);
        const { listener_statuses = [] } = (await body.json()) as ListenerStatuses;
        return new Map(listener_statuses.map((l) => [l.name, l.local_address.socket_address.port_value]));
      }
    } catch (error) {
      if (performance.now() > until) throw error;
    }
    if (performance.now() > until) throw new Error(`envoy was not ready within ${READY_MS} ms`);
    await new Promise((wake) => setTimeout(wake, LOOK_MS));
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8").slice(-2000);
  } catch {
    return "it left no log";
  }
}
