import { type ChildProcess, fork, type Serializable, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { parseReady, type ReadyAddresses } from "../../../src/process/ready-line.ts";
import { SUPERVISED_VARIABLE } from "../../../src/process/run-until-signal.ts";
import type { Question, Reply } from "./answer-questions.ts";

const READY_MS = 60_000;
const STOP_MS = 10_000;

/**
 * A process of a benchmark. It ends when we do: it notices that its channel or its stdin is closed. What it writes on
 * stderr is kept and told when it ends before it should.
 */
export class AskedProcess {
  readonly name: string;
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #open = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  #stopping = false;
  #lastId = 0;
  #lastWords = "";

  private constructor(name: string, child: ChildProcess) {
    this.name = name;
    this.pid = child.pid ?? -1;
    this.#child = child;
    child.stderr?.on("data", (chunk: Buffer) => {
      this.#lastWords = (this.#lastWords + chunk.toString()).slice(-4000);
    });
    child.on("message", (reply: Reply) => {
      const waiting = this.#open.get(reply.id);
      this.#open.delete(reply.id);
      if (reply.error === undefined) waiting?.resolve(reply.value);
      else waiting?.reject(new Error(`${name}: ${reply.error}`));
    });
    child.once("exit", (code, signal) => {
      const error = new Error(`${name} ended (${signal ?? `code ${code}`}): ${this.#lastWords}`);
      for (const { reject } of this.#open.values()) reject(error);
      this.#open.clear();
      if (!this.#stopping && code !== 0) process.stderr.write(`${error.message}\n`);
    });
  }

  /** A TypeScript program that answers questions (`answer-questions.ts`). */
  static fork(name: string, script: string, argv: readonly string[] = []): AskedProcess {
    const child = fork(script, [...argv], { stdio: ["ignore", "inherit", "pipe", "ipc"], serialization: "advanced" });
    return new AskedProcess(name, child);
  }

  /** A program with a ready line; with `probed`, it answers the questions of what was imported into it. */
  static async start(
    name: string,
    executable: string,
    argv: readonly string[],
    { probed = false }: { readonly probed?: boolean } = {},
  ): Promise<{ process: AskedProcess; ready: ReadyAddresses }> {
    const child = spawn(executable, argv, {
      stdio: probed ? ["pipe", "pipe", "pipe", "ipc"] : ["pipe", "pipe", "pipe"],
      env: { ...process.env, [SUPERVISED_VARIABLE]: "1" },
      serialization: "advanced",
    });
    child.stdin?.on("error", () => {});
    const started = new AskedProcess(name, child);
    return { process: started, ready: await started.#ready() };
  }

  /** Faults of the other side reject; so does its end. */
  ask<T>(name: string, ...args: Serializable[]): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const id = ++this.#lastId;
      this.#open.set(id, { resolve: resolve as (value: unknown) => void, reject });
      const question: Question = { id, name, args };
      this.#child.send(question, (error) => {
        if (error !== null && this.#open.delete(id)) reject(error);
      });
    });
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#stopping = true;
    const ended = new Promise((done) => this.#child.once("exit", done));
    this.#child.kill("SIGTERM");
    const kill = setTimeout(() => this.#child.kill("SIGKILL"), STOP_MS);
    await ended;
    clearTimeout(kill);
  }

  #ready(): Promise<ReadyAddresses> {
    return new Promise((resolve, reject) => {
      const fail = (why: string) => {
        clearTimeout(limit);
        reject(new Error(`start ${this.name}: ${why}: ${this.#lastWords}`));
      };
      const limit = setTimeout(() => fail(`not ready within ${READY_MS} ms`), READY_MS);
      this.#child.once("error", (error) => fail(error.message));
      this.#child.once("exit", () => fail("it ended"));
      createInterface({ input: this.#child.stdout! }).on("line", (line) => {
        const ready = parseReady(line);
        if (ready === undefined) return;
        clearTimeout(limit);
        resolve(ready);
      });
    });
  }
}
