import { Fault } from "../../fault/fault.ts";
import type { Completeness } from "../../wire/generated/skynetes/v1/stamp_pb.ts";
import { answeredShare, completenessOf } from "../reply/answer-completeness.ts";
import type { PreparedQuery } from "./prepared-query.ts";

/** Which shards an answer goes without, and whether it still may. */
export class GivenUpShards {
  readonly faults = new Map<number, Fault>();
  readonly #query: PreparedQuery;
  readonly #floor: number;

  constructor(query: PreparedQuery, serverFloor: number) {
    this.#query = query;
    const { quality } = query.intent;
    this.#floor = quality.kind === "partial" ? Math.max(quality.min, serverFloor) : 1;
  }

  /**
   * Goes on without a shard, or throws: under strict, when the fault is about the request and not the shard, and when
   * what is left would be too little. A partial answer needs at least one shard that answered.
   */
  add(shard: number, fault: Fault): void {
    if (this.#query.intent.quality.kind === "strict" || !isAboutTheShard(fault)) throw fault;
    this.faults.set(shard, fault);
    const completeness = this.completeness();
    const share = answeredShare(completeness);
    if (share >= this.#floor && this.faults.size < this.#query.asked.length) return;
    const why = completeness.missing.map((m) => `shards ${m.shards}: ${m.reason}`).join("; ");
    const text = `answer query: ${percent(share)} of the rows would be answered, at least ${percent(this.#floor)} is asked (${why})`;
    throw new Fault("incomplete-answer", text, { retryAfterMs: 1000 }, fault);
  }

  completeness(): Completeness {
    return completenessOf(this.#query.resolved.snapshot.shardSeals, this.faults);
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
