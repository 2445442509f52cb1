import type { MethodPlan } from "../../merge-plan/method-plan.ts";
import type { Clock } from "../../process/clock.ts";
import { MergeThread, type ThreadListener } from "./merge-thread.ts";

/** From source or from the published package: the program stands beside this file, and is named as it is. */
const PROGRAM = new URL("./thread-program.ts", import.meta.url);
if (!import.meta.url.endsWith(".ts")) PROGRAM.pathname = PROGRAM.pathname.replace(/\.ts$/, ".js");

/** A thread that works for one merge, and the number of the merge's plan there. */
export interface TakenThread {
  readonly thread: MergeThread;
  readonly plan: number;
}

/** The threads of a gateway's process: started when they are first wanted, kept, and replaced when they die. */
export class MergeThreads {
  readonly #max: number;
  readonly #clock: Clock;
  readonly #all = new Set<MergeThread>();
  readonly #free: MergeThread[] = [];
  #isClosed = false;
  /** Threads that ended by themselves. */
  deaths = 0;

  constructor(max: number, clock: Clock) {
    this.#max = max;
    this.#clock = clock;
  }

  get size(): number {
    return this.#all.size;
  }

  /** Threads that work for a merge. */
  get busy(): number {
    return this.#all.size - this.#free.length;
  }

  /** Undefined while all are at work: the merge then goes on in slices, where it is. */
  take(plan: MethodPlan, listener: ThreadListener): TakenThread | undefined {
    const thread = this.#free.pop() ?? this.#start();
    return thread && { thread, plan: thread.begin(plan, listener) };
  }

  /** Merges under way are lost. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#all].map((thread) => thread.close()));
  }

  #start(): MergeThread | undefined {
    if (this.#isClosed || this.#all.size >= this.#max) return undefined;
    const thread = new MergeThread(PROGRAM, this.#clock, {
      free: (one) => void this.#free.push(one),
      gone: (one) => {
        if (!this.#isClosed) this.deaths++;
        this.#all.delete(one);
        const at = this.#free.indexOf(one);
        if (at >= 0) this.#free.splice(at, 1);
      },
    });
    this.#all.add(thread);
    return thread;
  }
}
