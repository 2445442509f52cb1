/** A mesh as a user starts it: the command line, its own data directory and ports, real processes. */
import { type ChildProcess, spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join, resolve } from "node:path";
import { request } from "undici";

const ROOT = resolve(import.meta.dirname, "../..");
const NODE = join(ROOT, "node_modules/.bin/node");

export interface MeshPorts {
  readonly http: number;
  readonly grpc: number;
  readonly control: number;
}

export class MeshProcess {
  readonly ports: MeshPorts;
  readonly dataDirectory: string;
  readonly #child: ChildProcess;
  readonly #stderr: string[] = [];
  readonly exited: Promise<number | null>;
  #isReady = false;

  private constructor(child: ChildProcess, ports: MeshPorts, dataDirectory: string) {
    this.#child = child;
    this.ports = ports;
    this.dataDirectory = dataDirectory;
    this.exited = new Promise((done) => child.once("exit", (code) => done(code)));
    const keep = (chunk: Buffer) => {
      this.#stderr.push(chunk.toString());
      if (this.#stderr.length > 2_000) this.#stderr.shift();
    };
    child.stdout?.on("data", (chunk: Buffer) => {
      keep(chunk);
      if (chunk.includes('{"ready":')) this.#isReady = true;
    });
    child.stderr?.on("data", keep);
  }

  static async start(manifest: string, dataDirectory: string, ports?: MeshPorts): Promise<MeshProcess> {
    const on = ports ?? { http: await freePort(), grpc: await freePort(), control: await freePort() };
    const child = spawn(
      NODE,
      [
        join(ROOT, "src/main/skynetes.ts"),
        ...["up", "--manifest", join(ROOT, manifest), "--data-dir", dataDirectory],
        ...["--http-port", String(on.http), "--grpc-port", String(on.grpc), "--control-port", String(on.control)],
      ],
      { cwd: ROOT, stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, NO_COLOR: "1" } },
    );
    return new MeshProcess(child, on, dataDirectory);
  }

  get url(): string {
    return `http://127.0.0.1:${this.ports.http}`;
  }

  get output(): string {
    return this.#stderr.join("");
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  /** Returns when `up` says that all the manifest wants is served. */
  async serving(withinMs: number): Promise<void> {
    const until = Date.now() + withinMs;
    while (!this.#isReady) {
      if (this.#child.exitCode !== null) throw new Error(`up ended with ${this.#child.exitCode}:\n${this.output}`);
      if (Date.now() > until) throw new Error(`not serving within ${withinMs} ms:\n${this.output}`);
      await new Promise((wake) => setTimeout(wake, 50));
    }
  }

  /** Ctrl-C, as a terminal sends it; resolves with the exit code. */
  async stop(): Promise<number | null> {
    if (this.#child.exitCode === null) this.#child.kill("SIGINT");
    return this.exited;
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }

  /** Processes below `up` that are alive, with their command lines. */
  children(): { pid: number; command: string }[] {
    return childrenOf(this.pid);
  }
}

export function childrenOf(pid: number): { pid: number; command: string }[] {
  let list: string;
  try {
    list = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8");
  } catch {
    return [];
  }
  return list
    .split(" ")
    .filter((text) => text !== "")
    .map(Number)
    .map((child) => ({ pid: child, command: commandOf(child) }));
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
  } catch {
    return "";
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ");
  } catch {
    return false;
  }
}

/** A mesh that is given one port twice never starts. */
const given = new Set<number>();

/**
 * A port that is free now, below those that the system gives away: one of these could be the local end of any connection
 * by the time it is wanted.
 */
async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(12_000, 32_000);
    const server = createServer();
    const isFree = await new Promise<boolean>((tell) => {
      server.once("error", () => tell(false));
      server.listen(port, "127.0.0.1", () => tell(true));
    });
    if (!isFree || given.has(port)) continue;
    given.add(port);
    await new Promise((done) => server.close(done));
    return port;
  }
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly text: string;
}

/** POSTs a request as curl would. */
export async function ask(url: string, path: string, body: unknown, timeoutMs = 30_000): Promise<HttpAnswer> {
  const response = await request(`${url}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", "cache-control": "no-cache" },
    body: typeof body === "string" ? body : JSON.stringify(body),
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
  });
  return { status: response.statusCode, headers: response.headers, text: await response.body.text() };
}
