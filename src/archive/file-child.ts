/** One run of an archive process: questions in, answers out, each with a deadline since its last sign of life. */
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { Fault } from "../fault/fault.ts";
import type { Clock } from "../process/clock.ts";
import type { FileAnswer, FileQuestion } from "./file-words.ts";

interface Pending {
  readonly alive: () => void;
  readonly settle: (answer: FileAnswer) => void;
  readonly fail: (why: string) => void;
}

export interface FileChildOptions {
  readonly script: URL;
  readonly root: string;
  readonly clock: Clock;
  readonly stallMs: number;
  /** An operation gave no sign of life for `stallMs`, or the process has ended unasked. */
  readonly onLost: (why: string) => void;
}

export class FileChild {
  readonly #options: FileChildOptions;
  readonly #process: ChildProcess;
  readonly #pending = new Map<number, Pending>();
  /** Resolves when the system has let go of it, which a hung file system may delay. */
  readonly ended: Promise<void>;
  #lastId = 0;
  #isLeft = false;

  constructor(options: FileChildOptions) {
    this.#options = options;
    this.#process = fork(fileURLToPath(options.script), [options.root], {
      serialization: "advanced",
      stdio: ["ignore", "ignore", "inherit", "ipc"],
      execArgv: [],
    });
    this.#process.on("message", (message) => this.#receive(message as FileAnswer));
    this.ended = new Promise((resolve) => {
      const end = (why: string) => {
        resolve();
        for (const { fail } of [...this.#pending.values()]) fail(why);
        if (!this.#isLeft) options.onLost(why);
      };
      this.#process.once("exit", (code, signal) => end(`the archive process ended: ${signal ?? `exit code ${code}`}`));
      this.#process.once("error", (error) => end(`the archive process: ${error.message}`));
    });
    // Whoever waits for an answer keeps the process alive, an idle child does not.
    this.#process.unref();
    this.#process.channel?.unref();
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  get underWay(): number {
    return this.#pending.size;
  }

  ask(operation: FileQuestion["operation"], args: readonly unknown[]): Promise<unknown> {
    const { clock, stallMs, onLost } = this.#options;
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      let cancel = () => {};
      const over = () => {
        cancel();
        this.#pending.delete(id);
        if (this.#pending.size > 0) return;
        this.#process.channel?.unref();
        if (this.#isLeft) this.#process.kill("SIGKILL");
      };
      const fail = (why: string) => {
        over();
        reject(new Fault("archive-unavailable", `${operation} ${describe(args)} in ${this.#options.root}: ${why}`));
      };
      const alive = () => {
        cancel();
        cancel = clock.after(stallMs, () => {
          const why = `no sign of life for ${stallMs} ms`;
          fail(why);
          onLost(why);
        });
      };
      const settle = (answer: FileAnswer) => {
        over();
        if (answer.kind === "fault") reject(new Fault(answer.fault, answer.message));
        else resolve(answer.kind === "value" ? answer.value : undefined);
      };
      this.#pending.set(id, { alive, settle, fail });
      this.#process.channel?.ref();
      alive();
      this.#process.send({ id, operation, args } satisfies FileQuestion, (error) => {
        if (error !== null) this.#pending.get(id)?.fail(error.message);
      });
    });
  }

  /** Nothing new is asked of it; what still gives signs of life may end, and then it is killed. */
  leave(): void {
    this.#isLeft = true;
    if (this.#pending.size === 0) this.#process.kill("SIGKILL");
  }

  kill(why: string): void {
    this.#isLeft = true;
    this.#process.kill("SIGKILL");
    for (const { fail } of [...this.#pending.values()]) fail(why);
  }

  #receive(answer: FileAnswer): void {
    const pending = this.#pending.get(answer.id);
    if (answer.kind === "progress") pending?.alive();
    else pending?.settle(answer);
  }
}

/** What an operation is on: its first argument, which names a file or counts them. */
function describe([first]: readonly unknown[]): string {
  if (typeof first === "string") return first;
  return Array.isArray(first) ? `${first.length} files` : "";
}
