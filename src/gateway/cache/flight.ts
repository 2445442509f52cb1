import type { Fault } from "../../fault/fault.ts";
import { faultFromUnknown } from "../../fault/fault-from-unknown.ts";
import type { Clock } from "../../process/clock.ts";
import type { Completeness } from "../../wire/generated/skynetes/v1/stamp_pb.ts";
import { ShortOfTime } from "../admission/short-of-time.ts";
import type { Gathering } from "../query/gathering.ts";
import type { MemoryPool } from "../query/memory-pool.ts";
import type { OpenQuery } from "../query/open-query.ts";
import { SharedGathering } from "./shared-gathering.ts";

/** What a waiter has of a flight: its answer, its fault, or nothing: then it asks alone. */
export type FlightEnd<T> =
  | { readonly kind: "answer"; readonly answer: T; readonly completeness: Completeness }
  | { readonly kind: "fault"; readonly fault: Fault }
  | { readonly kind: "alone" };

export interface FlightParts {
  readonly pool: MemoryPool;
  readonly clock: Clock;
  readonly partialFloor: number;
  /** Nobody may join any more. May be called again. */
  readonly onClosed: () => void;
}

/**
 * One gathering for several queries that ask the same. It belongs to all of them and to none: it goes on until its last
 * waiter has gone, and under the latest of its waiters' deadlines. Shards that were asked under an earlier one are asked
 * again when that has passed and a waiter has more time; so is admission, which refuses who has too little of it.
 *
 * What is shared is a complete answer, and a fault that each would have met. An incomplete answer is not, nor the fault
 * that it would be too incomplete: it belongs to who has waited longest, and the others ask alone.
 */
export class Flight<T> {
  readonly #parts: FlightParts;
  /** Whoever came first is first. */
  readonly #waiters = new Set<OpenQuery>();
  #gathering: SharedGathering;
  #shardsAnswered = 0;
  #end: Promise<FlightEnd<T>> | undefined;
  /** Who has waited longest at the end. */
  #heir: OpenQuery | undefined;

  constructor(first: OpenQuery, parts: FlightParts) {
    this.#parts = parts;
    this.#waiters.add(first);
    this.#gathering = this.#newGathering(first);
  }

  /** To be called once. */
  start(gather: (gathering: Gathering) => Promise<T>): void {
    this.#end = this.#run(gather);
  }

  join(waiter: OpenQuery): void {
    this.#waiters.add(waiter);
    const gathering = this.#gathering;
    gathering.shardDeadline = Math.max(gathering.shardDeadline, waiter.shardDeadline);
    waiter.shardsAnswered(this.#shardsAnswered);
  }

  /** Resolves at the flight's end, or earlier for who must have time to ask alone. Rejects with what stops the waiter. */
  async endFor(waiter: OpenQuery): Promise<FlightEnd<T>> {
    const { promise, resolve, reject } = Promise.withResolvers<FlightEnd<T>>();
    const onStop = () => reject(faultFromUnknown(waiter.signal.reason, "answer query"));
    const stopPatience = this.#afterPatience(waiter, () => resolve({ kind: "alone" }));
    waiter.signal.addEventListener("abort", onStop, { once: true });
    void this.#end?.then((end) => resolve(this.#isIncomplete(end) && waiter !== this.#heir ? { kind: "alone" } : end));
    try {
      waiter.throwIfStopped();
      return await promise;
    } finally {
      stopPatience();
      waiter.signal.removeEventListener("abort", onStop);
    }
  }

  /** To be called by every waiter: when its reply is sent, or when it goes on without. */
  leave(waiter: OpenQuery): void {
    if (!this.#waiters.delete(waiter) || this.#waiters.size > 0) return;
    this.#parts.onClosed();
    this.#gathering.end();
  }

  async #run(gather: (gathering: Gathering) => Promise<T>): Promise<FlightEnd<T>> {
    let end: FlightEnd<T> | undefined;
    while (end === undefined) {
      const gathering = this.#gathering;
      const askedUnder = gathering.shardDeadline;
      try {
        const answer = await gather(gathering);
        end = { kind: "answer", answer, completeness: gathering.completeness() };
      } catch (error) {
        const fault = faultFromUnknown(error, "answer query");
        // Whatever other shards still do for it is for nobody.
        gathering.end();
        const latest = this.#latestWaiter();
        const hasMoreTime = latest !== undefined && latest.shardDeadline > askedUnder;
        const isOfTime = fault.id === "deadline-exceeded" || fault instanceof ShortOfTime;
        if (isOfTime && hasMoreTime) this.#gathering = this.#newGathering(latest);
        else end = { kind: "fault", fault };
      }
    }
    [this.#heir] = this.#waiters;
    this.#parts.onClosed();
    return end;
  }

  #newGathering(latest: OpenQuery): SharedGathering {
    return new SharedGathering({
      query: latest.query,
      memory: this.#parts.pool.open(),
      partialFloor: this.#parts.partialFloor,
      shardDeadline: latest.shardDeadline,
      onProgress: (shardsAnswered) => {
        this.#shardsAnswered = shardsAnswered;
        for (const waiter of this.#waiters) waiter.shardsAnswered(shardsAnswered);
      },
      // Its answer will be shared with nobody.
      onShardGivenUp: this.#parts.onClosed,
    });
  }

  #latestWaiter(): OpenQuery | undefined {
    let latest: OpenQuery | undefined;
    for (const waiter of this.#waiters) {
      if (latest === undefined || waiter.shardDeadline > latest.shardDeadline) latest = waiter;
    }
    return latest;
  }

  #isIncomplete(end: FlightEnd<T>): boolean {
    if (end.kind === "answer") return !end.completeness.complete;
    return end.kind === "fault" && end.fault.id === "incomplete-answer";
  }

  /**
   * Who accepts a partial answer may have to ask alone in the end, and half of its time is for that: in the last moments,
   * when a shard that hangs is given up, the others could not be asked any more.
   */
  #afterPatience(waiter: OpenQuery, work: () => void): () => void {
    const [first] = this.#waiters;
    if (waiter === first || waiter.query.intent.quality.kind === "strict") return () => {};
    const { clock } = this.#parts;
    return clock.after(Math.max(0, (waiter.query.deadline - clock.monotonic()) / 2), work);
  }
}
