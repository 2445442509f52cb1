import { setMaxListeners } from "node:events";
import type { Fault } from "../../fault/fault.ts";
import { faultFromUnknown } from "../../fault/fault-from-unknown.ts";
import type { Completeness } from "../../wire/generated/skynetes/v1/stamp_pb.ts";
import { ENDED, type Gathering } from "../query/gathering.ts";
import { GivenUpShards } from "../query/given-up-shards.ts";
import type { PooledMemory } from "../query/memory-pool.ts";
import type { PreparedQuery } from "../query/prepared-query.ts";

export interface SharedGatheringParts {
  /** One of the queries that ask the same. */
  readonly query: PreparedQuery;
  /** Empty; freed at the end. */
  readonly memory: PooledMemory;
  readonly partialFloor: number;
  readonly shardDeadline: number;
  readonly onProgress: (shardsAnswered: number) => void;
  readonly onShardGivenUp: () => void;
}

/** One round of asking for several queries: what an open query is for one, without a client of its own. */
export class SharedGathering implements Gathering {
  readonly query: PreparedQuery;
  shardDeadline: number;
  readonly #parts: SharedGatheringParts;
  readonly #stop = new AbortController();
  readonly #givenUp: GivenUpShards;
  #ended = false;

  constructor(parts: SharedGatheringParts) {
    this.query = parts.query;
    this.shardDeadline = parts.shardDeadline;
    this.#parts = parts;
    this.#givenUp = new GivenUpShards(parts.query, parts.partialFloor);
    // One listener for each shard call under way: many shards are no leak.
    setMaxListeners(0, this.#stop.signal);
  }

  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  get missing(): ReadonlyMap<number, Fault> {
    return this.#givenUp.faults;
  }

  /** Stops what is under way, and frees what is held. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#stop.abort(ENDED);
    this.#parts.memory.giveAll();
  }

  hold(bytes: number): void {
    this.throwIfStopped();
    try {
      this.#parts.memory.take(bytes);
    } catch (error) {
      // The gateway's own fault: no shard is missing for it.
      this.#stop.abort(error);
      throw error;
    }
  }

  release(bytes: number): void {
    if (!this.#ended) this.#parts.memory.give(bytes);
  }

  throwIfStopped(): void {
    if (this.signal.aborted) throw faultFromUnknown(this.signal.reason, "answer query");
  }

  giveUpShard(shard: number, fault: Fault): void {
    this.throwIfStopped();
    this.#givenUp.add(shard, fault);
    this.#parts.onShardGivenUp();
  }

  completeness(): Completeness {
    return this.#givenUp.completeness();
  }

  shardsAnswered(count: number): void {
    this.#parts.onProgress(count);
  }
}
