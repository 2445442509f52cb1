import { Fault } from "../../fault/fault.ts";
import { faultFromUnknown } from "../../fault/fault-from-unknown.ts";
import type { Clock } from "../../process/clock.ts";
import type { Completeness } from "../../wire/generated/skynetes/v1/stamp_pb.ts";
import { ENDED, type Gathering } from "./gathering.ts";
import { GivenUpShards } from "./given-up-shards.ts";
import type { MemoryPool, PooledMemory } from "./memory-pool.ts";
import type { PreparedQuery } from "./prepared-query.ts";
import type { QueryEntry, QueryRegister } from "./query-register.ts";

/** Part of the time is the gateway's own: to merge and to reply after the last shard. */
const RESERVE_SHARE = 0.1;
const RESERVE_MS_MAX = 100;

/**
 * The state of one query under way: its deadline, its end, and which shards were given up. It ends once, whatever
 * happens: when the answer is sent, a fault is, or the client goes away.
 */
export class OpenQuery implements Gathering {
  readonly query: PreparedQuery;
  /** Aborts at the deadline, on cancel, when the client goes away, and when the query has ended. */
  readonly signal: AbortSignal;
  /** In monotonic time: when shards must have answered. */
  readonly shardDeadline: number;
  readonly entry: QueryEntry;
  readonly #stop = new AbortController();
  readonly #end: () => void;
  readonly #givenUp: GivenUpShards;
  readonly #stopTimer: () => void;
  readonly #memory: PooledMemory;
  #ended = false;

  /** Faults: `overloaded`, `invalid-request` for an id in use. */
  constructor(query: PreparedQuery, register: QueryRegister, pool: MemoryPool, clock: Clock, serverFloor: number) {
    this.query = query;
    // Not `AbortSignal.any`: one that follows others looks through them each time it is asked whether it has aborted.
    this.signal = this.#stop.signal;
    const client = query.intent.signal;
    const clientGone = () => this.#stop.abort(client.reason);
    const remaining = query.deadline - clock.monotonic();
    this.shardDeadline = query.deadline - Math.min(RESERVE_MS_MAX, remaining * RESERVE_SHARE);
    this.#givenUp = new GivenUpShards(query, serverFloor);
    this.entry = {
      id: query.id,
      setId: query.intent.setId,
      resolved: query.resolved,
      startedAtMs: clock.now(),
      deadline: query.deadline,
      stop: (reason) => this.#stop.abort(reason),
      answered: 0,
    };
    const unregister = register.begin(this.entry);
    this.#memory = pool.open();
    if (client.aborted) clientGone();
    else client.addEventListener("abort", clientGone, { once: true });
    const tooLate = () => this.#stop.abort(new Fault("deadline-exceeded", "the query's deadline has passed"));
    this.#stopTimer = clock.after(Math.max(0, remaining), tooLate);
    this.#end = () => {
      this.#stopTimer();
      client.removeEventListener("abort", clientGone);
      unregister();
      this.#memory.giveAll();
      // Whatever a shard still does for this query is for nobody.
      this.#stop.abort(ENDED);
    };
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#end();
  }

  /** The answer is there: how long its reader takes is not the deadline's concern. */
  answered(): void {
    this.#stopTimer();
  }

  /** Counts what the query holds until it ends. The gateway's own fault stops it: no shard is missing for it. */
  hold(bytes: number): void {
    try {
      this.#memory.take(bytes);
    } catch (error) {
      this.#stop.abort(error);
      throw error;
    }
  }

  release(bytes: number): void {
    if (!this.#ended) this.#memory.give(bytes);
  }

  /** What stopped the query, when something did. */
  throwIfStopped(): void {
    if (this.signal.aborted) throw faultFromUnknown(this.signal.reason, "answer query");
  }

  get missing(): ReadonlyMap<number, Fault> {
    return this.#givenUp.faults;
  }

  giveUpShard(shard: number, fault: Fault): void {
    this.throwIfStopped();
    this.#givenUp.add(shard, fault);
  }

  completeness(): Completeness {
    return this.#givenUp.completeness();
  }

  shardsAnswered(count: number): void {
    this.entry.answered = Math.max(this.entry.answered, count);
  }
}
