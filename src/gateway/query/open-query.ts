import { setMaxListeners } from "node:events";
import { Fault } from "../../fault/fault.ts";
import { faultFromUnknown } from "../../fault/fault-from-unknown.ts";
import type { Clock } from "../../process/clock.ts";
import type { Completeness } from "../../wire/generated/skynetes/v1/stamp_pb.ts";
import { answeredShare, completenessOf } from "../reply/answer-completeness.ts";
import type { MemoryPool, PooledMemory } from "./memory-pool.ts";
import type { PreparedQuery } from "./prepared-query.ts";
import type { QueryEntry, QueryRegister } from "./query-register.ts";

/** Part of the time is the gateway's own: to merge and to reply after the last shard. */
const RESERVE_SHARE = 0.1;
const RESERVE_MS_MAX = 100;

/** One for all: nobody sees it but shard calls that are cancelled, and a stack trace for each query costs more than it. */
const ENDED = new Fault("cancelled", "the query has ended");

/**
 * The state of one query under way: its deadline, its end, and which shards were given up. It ends once, whatever
 * happens: when the answer is sent, a fault is, or the client goes away.
 */
export class OpenQuery {
  readonly query: PreparedQuery;
  /** Aborts at the deadline, on cancel, when the client goes away, and when the query has ended. */
  readonly signal: AbortSignal;
  /** In monotonic time: when shards must have answered. */
  readonly shardDeadline: number;
  readonly entry: QueryEntry;
  readonly missing = new Map<number, Fault>();
  readonly #stop = new AbortController();
  readonly #end: () => void;
  readonly #floor: number;
  readonly #stopTimer: () => void;
  readonly #memory: PooledMemory;
  #ended = false;

  /** Faults: `overloaded`, `invalid-request` for an id in use. */
  constructor(query: PreparedQuery, register: QueryRegister, pool: MemoryPool, clock: Clock, serverFloor: number) {
    this.query = query;
    this.signal = AbortSignal.any([query.intent.signal, this.#stop.signal]);
    // One listener for each shard call under way: many shards are no leak.
    setMaxListeners(0, this.signal);
    const remaining = query.deadline - clock.monotonic();
    this.shardDeadline = query.deadline - Math.min(RESERVE_MS_MAX, remaining * RESERVE_SHARE);
    const quality = query.intent.quality;
    this.#floor = quality.kind === "partial" ? Math.max(quality.min, serverFloor) : 1;
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
    const tooLate = () => this.#stop.abort(new Fault("deadline-exceeded", "the query's deadline has passed"));
    this.#stopTimer = clock.after(Math.max(0, remaining), tooLate);
    this.#end = () => {
      this.#stopTimer();
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

  /**
   * Goes on without a shard, or throws: under strict, when the fault is about the request and not the shard, and when
   * what is left would be too little. A partial answer needs at least one shard that answered.
   */
  giveUpShard(shard: number, fault: Fault): void {
    this.throwIfStopped();
    if (this.query.intent.quality.kind === "strict" || !isAboutTheShard(fault)) throw fault;
    this.missing.set(shard, fault);
    const completeness = this.completeness();
    const share = answeredShare(completeness);
    if (share >= this.#floor && this.missing.size < this.query.asked.length) return;
    const why = completeness.missing.map((m) => `shards ${m.shards}: ${m.reason}`).join("; ");
    const text = `answer query: ${percent(share)} of the rows would be answered, at least ${percent(this.#floor)} is asked (${why})`;
    throw new Fault("incomplete-answer", text, { retryAfterMs: 1000 }, fault);
  }

  completeness(): Completeness {
    return completenessOf(this.query.resolved.snapshot.shardSeals, this.missing);
  }
}

function percent(share: number): string {
  return `${Math.floor(share * 10_000) / 100} %`;
}

/** Other faults would come from any shard for this request: an answer without the shard would hide them. */
function isAboutTheShard(fault: Fault): boolean {
  switch (fault.id) {
    case "shard-unavailable":
    case "shard-failed":
    case "snapshot-not-bound":
    case "stamp-mismatch":
    case "deadline-exceeded":
    case "bad-partial":
    case "overloaded":
    case "not-ready":
    case "out-of-memory":
    case "data-corrupt":
    case "cancelled":
      return true;
    default:
      return false;
  }
}
