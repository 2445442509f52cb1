import { fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import type { Fault } from "../../fault/fault.ts";
import type { MethodPlan } from "../../merge-plan/method-plan.ts";
import { TopBoundsSchema } from "../../wire/generated/skynetes/v1/stamp_pb.ts";
import type { AnswerPieces, MergeLimits, Partial } from "../merge/merge-execution.ts";
import type { ShardRequest } from "../plan/shard-request.ts";
import type { MergeThread, ThreadListener } from "./merge-thread.ts";
import type { MergeThreads } from "./merge-threads.ts";
import type { OrderWords, RoundWords } from "./thread-words.ts";

interface Order {
  readonly resolve: (value: never) => void;
  readonly reject: (fault: unknown) => void;
}

/** A merge in a thread, from the gateway's side: orders go there, answers come back in the same order. */
export class ThreadMerge implements ThreadListener {
  readonly #plan: MethodPlan;
  readonly #hold: (bytes: number) => void;
  #thread: MergeThread | undefined;
  readonly #orders: Order[] = [];
  #failed: { readonly reason: unknown } | undefined;

  private constructor(plan: MethodPlan, hold: (bytes: number) => void) {
    this.#plan = plan;
    this.#hold = hold;
  }

  /** Undefined when no thread is free. */
  static begin(
    threads: MergeThreads,
    plan: MethodPlan,
    request: Message,
    shards: readonly number[],
    { groupBytesMax, keysPerRequestMax, hold = () => {} }: MergeLimits,
  ): ThreadMerge | undefined {
    const merge = new ThreadMerge(plan, hold);
    const taken = threads.take(plan, merge);
    if (taken === undefined) return undefined;
    merge.#thread = taken.thread;
    const bytes = toBinary(plan.method.input, request);
    const begin = {
      kind: "begin",
      plan: taken.plan,
      request: bytes,
      shards,
      groupBytesMax,
      keysPerRequestMax,
    } as const;
    // What is wrong with it is told by the orders behind it, too.
    merge.#order(begin).catch((error) => merge.stop(error));
    return merge;
  }

  /** `isGiven`: the message's memory goes to the thread. */
  accept({ shard, message, format, bounds }: Partial, place: number, isGiven: boolean): Promise<void> {
    const order: OrderWords = {
      kind: "accept",
      shard,
      place,
      message,
      format,
      bounds: bounds && toBinary(TopBoundsSchema, bounds),
    };
    return this.#order(order, isGiven ? [message.buffer as ArrayBuffer] : []);
  }

  exclude(shard: number): Promise<void> {
    return this.#order({ kind: "exclude", shard });
  }

  async next(): Promise<readonly ShardRequest[]> {
    const { requests, asked } = await this.#order<RoundWords>({ kind: "next" });
    const decoded = requests.map((bytes) => fromBinary(this.#plan.method.input, bytes));
    return asked.map(({ shard, request }) => ({ shard, request: decoded[request]! }));
  }

  finish(): Promise<AnswerPieces> {
    return this.#order({ kind: "finish" });
  }

  /** Nobody waits for it any more: what is under way rejects with the reason. */
  stop(reason: unknown): void {
    if (this.#failed !== undefined) return;
    this.#failed = { reason };
    this.#thread?.end();
    this.#thread = undefined;
    for (const { reject } of this.#orders.splice(0)) reject(reason);
  }

  done(value: unknown): void {
    this.#orders.shift()?.resolve(value as never);
  }

  failed(fault: Fault): void {
    this.#orders.shift()?.reject(fault);
  }

  needs(bytes: number): void {
    try {
      this.#hold(bytes);
      this.#thread?.grant(bytes);
    } catch (fault) {
      this.stop(fault);
    }
  }

  lost(fault: Fault): void {
    this.#thread = undefined;
    this.stop(fault);
  }

  #order<T>(words: OrderWords, handedOver: readonly ArrayBuffer[] = []): Promise<T> {
    if (this.#failed !== undefined) return Promise.reject(this.#failed.reason);
    return new Promise<T>((resolve, reject) => {
      this.#orders.push({ resolve, reject } as Order);
      this.#thread?.order(words, handedOver);
    });
  }
}
