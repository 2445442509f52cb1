import { Worker } from "node:worker_threads";
import { Fault } from "../../fault/fault.ts";
import type { MethodPlan } from "../../merge-plan/method-plan.ts";
import type { Clock } from "../../process/clock.ts";
import { planToWords } from "./plan-words.ts";
import type { FromThread, OrderWords, ToThread } from "./thread-words.ts";

/** Plans that a thread knows at once. */
const PLANS_MAX = 64;
/** What a thread may take to notice that its merge is not wanted, its start included; then it is ended. */
const ENDING_MS = 10_000;

/** What a merge wants to hear of its thread. */
export interface ThreadListener {
  done(value: unknown): void;
  failed(fault: Fault): void;
  /** To be answered by `grant`, or by `end`. */
  needs(bytes: number): void;
  /** The thread is gone, and the merge with it. */
  lost(fault: Fault): void;
}

/** One thread as the gateway sees it. It works for one merge at a time, so that one that dies fails one query. */
export class MergeThread {
  readonly #worker: Worker;
  readonly #clock: Clock;
  readonly #onFree: (thread: MergeThread) => void;
  readonly #plans = new Map<MethodPlan, number>();
  #lastPlan = 0;
  #listener: ThreadListener | undefined;
  #stopWaiting: (() => void) | undefined;
  #isEnding = false;

  constructor(program: URL, clock: Clock, on: { free(thread: MergeThread): void; gone(thread: MergeThread): void }) {
    this.#clock = clock;
    this.#onFree = on.free;
    // Flags that this process was started with, such as `--eval`, may make no sense there.
    this.#worker = new Worker(program, { name: "merge", execArgv: [] });
    // A thread without work keeps no process alive.
    this.#worker.unref();
    this.#worker.on("message", (words: FromThread) => this.#hear(words));
    this.#worker.on("messageerror", () => void this.#worker.terminate());
    let reason = "it was ended";
    let isOutOfMemory = false;
    this.#worker.on("error", (error: Error & { readonly code?: string }) => {
      reason = error.message;
      isOutOfMemory = error.code === "ERR_WORKER_OUT_OF_MEMORY";
    });
    this.#worker.on("exit", () => {
      this.#stopWaiting?.();
      const listener = this.#listener;
      this.#listener = undefined;
      on.gone(this);
      const id = isOutOfMemory ? "out-of-memory" : "internal";
      listener?.lost(new Fault(id, `merge the partials: the merge thread has gone: ${reason}`));
    });
  }

  /** It did not let go of a merge in time. */
  get isEnding(): boolean {
    return this.#isEnding;
  }

  /** Takes it for one merge, until `end`. */
  begin(plan: MethodPlan, listener: ThreadListener): number {
    this.#listener = listener;
    this.#worker.ref();
    const known = this.#plans.get(plan);
    if (known !== undefined) return known;
    const forgetsOthers = this.#plans.size === PLANS_MAX;
    if (forgetsOthers) this.#plans.clear();
    const number = ++this.#lastPlan;
    this.#plans.set(plan, number);
    this.#tell({ kind: "plan", plan: number, forgetsOthers, ...planToWords(plan) });
    return number;
  }

  /** Answered in turn, by `done` or `failed`. What is handed over cannot be read here any more. */
  order(words: OrderWords, handedOver: readonly ArrayBuffer[] = []): void {
    this.#worker.postMessage(words satisfies ToThread, [...handedOver]);
  }

  grant(bytes: number): void {
    this.#tell({ kind: "grant", bytes });
  }

  /** Nothing more is heard of the merge; the thread is free once it has dropped it. */
  end(): void {
    if (this.#listener === undefined) return;
    this.#listener = undefined;
    this.#tell({ kind: "end" });
    this.#stopWaiting = this.#clock.after(ENDING_MS, () => {
      this.#isEnding = true;
      void this.#worker.terminate();
    });
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }

  #tell(words: ToThread): void {
    this.#worker.postMessage(words);
  }

  #hear(words: FromThread): void {
    if (words.kind === "done") this.#listener?.done(words.value);
    else if (words.kind === "need") this.#listener?.needs(words.bytes);
    else if (words.kind === "failed") {
      const { id, message, detail } = words.fault;
      this.#listener?.failed(new Fault(id, message, detail));
    } else {
      this.#stopWaiting?.();
      this.#worker.unref();
      this.#onFree(this);
    }
  }
}
