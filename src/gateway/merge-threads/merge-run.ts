import type { Message } from "@bufbuild/protobuf";
import type { MethodPlan } from "../../merge-plan/method-plan.ts";
import type { Clock } from "../../process/clock.ts";
import { inSlices } from "../../process/turn.ts";
import type { AnswerPieces, MergeExecution, MergeLimits, Partial } from "../merge/merge-execution.ts";
import { startMerge } from "../merge/start-merge.ts";
import type { ShardRequest } from "../plan/shard-request.ts";
import type { MergeThreads } from "./merge-threads.ts";
import { ThreadMerge } from "./thread-merge.ts";

export interface MergeRunParts {
  readonly plan: MethodPlan;
  /** The client's own. */
  readonly request: Message;
  readonly shards: readonly number[];
  readonly limits: MergeLimits;
  readonly clock: Clock;
  /** Ends what is under way. */
  readonly signal: AbortSignal;
  /** Absent: no merge goes to a thread. */
  readonly threads: MergeThreads | undefined;
  /** Partials that are expected to be so many bytes together are merged in a thread. */
  readonly threadBytes: number;
}

/**
 * A merge as the spine drives it: here, in slices with turns of the event loop between them, or in a thread of its own.
 *
 * Which of the two is known when the first partial has come: shards hold about as much as each other, so its bytes
 * times the shards asked is what will have to be merged. Nothing has been merged by then, so nothing has to move, and a
 * small merge pays a multiplication. What a thread answers is what would have been answered here, to the byte.
 */
export class MergeRun {
  readonly #parts: MergeRunParts;
  readonly #here: MergeExecution;
  #there: ThreadMerge | undefined;
  #round: readonly ShardRequest[] = [];
  readonly #excluded: number[] = [];
  #isDecided = false;
  readonly #stop = () => this.#there?.stop(this.#parts.signal.reason);

  constructor(parts: MergeRunParts) {
    this.#parts = parts;
    this.#here = startMerge(parts.plan, parts.request, parts.shards, parts.limits);
  }

  /** Whether partials may come as columns. */
  get acceptsColumns(): boolean {
    return this.#here.acceptsColumns;
  }

  get isInThread(): boolean {
    return this.#there !== undefined;
  }

  begin(): readonly ShardRequest[] {
    this.#round = this.#here.begin();
    return this.#round;
  }

  /** A partial of so many bytes has come, and is accepted later. */
  expect(bytes: number): void {
    if (!this.#isDecided) this.#decide(bytes * this.#round.length);
  }

  /**
   * Faults: as `MergeExecution`, `internal` and `out-of-memory` when the thread has gone, the signal's reason. `isGiven`:
   * nobody reads the message any more, and its memory has nothing else in it.
   */
  accept(partial: Partial, isGiven: boolean): void | Promise<void> {
    this.expect(partial.message.length);
    if (this.#there !== undefined) return this.#there.accept(partial, this.#round.indexOf(partial.request), isGiven);
    return inSlices(this.#here.acceptSlices(partial), this.#parts.clock, this.#parts.signal);
  }

  /** Faults: as `MergeExecution`. */
  exclude(shard: number): void | Promise<void> {
    if (this.#there !== undefined) return this.#there.exclude(shard);
    this.#here.exclude(shard);
    this.#excluded.push(shard);
  }

  async next(): Promise<readonly ShardRequest[]> {
    const { clock, signal } = this.#parts;
    this.#round = await (this.#there?.next() ?? inSlices(this.#here.nextSlices(), clock, signal));
    return this.#round;
  }

  finish(): AnswerPieces | Promise<AnswerPieces> {
    const { clock, signal } = this.#parts;
    return this.#there?.finish() ?? inSlices(this.#here.finishSlices(), clock, signal);
  }

  /** To be called in any case: the thread is free for others. */
  close(): void {
    this.#parts.signal.removeEventListener("abort", this.#stop);
    this.#there?.stop(new Error("the merge is over"));
  }

  #decide(expectedBytes: number): void {
    this.#isDecided = true;
    const { threads, threadBytes, plan, request, shards, limits, signal } = this.#parts;
    if (threads === undefined || expectedBytes < threadBytes) return;
    this.#there = ThreadMerge.begin(threads, plan, request, shards, limits);
    if (this.#there === undefined) return;
    signal.addEventListener("abort", this.#stop, { once: true });
    // Before anything is merged giving up a shard cannot fail.
    for (const shard of this.#excluded) void this.#there.exclude(shard).catch(() => {});
  }
}
