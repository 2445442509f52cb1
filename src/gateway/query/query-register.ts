import { create } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Fault } from "../../fault/fault.ts";
import type { Clock } from "../../process/clock.ts";
import { type SnapshotUse, SnapshotUseSchema } from "../../wire/generated/skynetes/v1/gateway_admin_pb.ts";
import { type QueryStatus, QueryStatusSchema } from "../../wire/generated/skynetes/v1/gateway_pb.ts";
import type { ResolvedQuery } from "../resolve/resolve-query.ts";

/** A query under way. Whoever began it ends it, in every case. */
export interface QueryEntry {
  readonly id: string;
  /** Of the answer set that it belongs to. */
  readonly setId: string | undefined;
  readonly resolved: ResolvedQuery;
  readonly startedAtMs: number;
  /** In monotonic time. */
  readonly deadline: number;
  /** Stops the query with this reason. */
  readonly stop: (reason: Fault) => void;
  answered: number;
}

/**
 * Queries under way on this gateway: bounded, listed, cancelled by id, and counted by what they use, so that a snapshot
 * is taken away only when nobody reads it any more.
 */
export class QueryRegister {
  readonly #entries = new Map<string, QueryEntry>();
  readonly #max: number;
  readonly #retryAfterMs: number;
  readonly #clock: Clock;

  constructor(clock: Clock, max: number, retryAfterMs: number) {
    this.#clock = clock;
    this.#max = max;
    this.#retryAfterMs = retryAfterMs;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Faults: `overloaded`; `invalid-request` when the id is in use. */
  begin(entry: QueryEntry): () => void {
    if (this.#entries.size >= this.#max) {
      throw new Fault("overloaded", `begin query: ${this.#max} are under way`, { retryAfterMs: this.#retryAfterMs });
    }
    if (this.#entries.has(entry.id)) throw new Fault("invalid-request", `begin query: id "${entry.id}" is in use`);
    this.#entries.set(entry.id, entry);
    return () => {
      if (this.#entries.get(entry.id) === entry) this.#entries.delete(entry.id);
    };
  }

  list(): QueryStatus[] {
    return [...this.#entries.values()].map((entry) =>
      create(QueryStatusSchema, {
        id: entry.id,
        snapshot: entry.resolved.snapshot.id,
        service: entry.resolved.version.service,
        method: entry.resolved.plan.method.name,
        serviceVersion: entry.resolved.version.name,
        startedAt: timestampFromMs(Math.round(entry.startedAtMs)),
        remaining: durationFromMs(Math.max(0, Math.round(entry.deadline - this.#clock.monotonic()))),
        shards: { expected: entry.resolved.snapshot.shardSeals.size, answered: entry.answered },
      }),
    );
  }

  /** One query, or all that are under way of the answer set of that id. Fault `unknown-query`. */
  cancel(id: string): void {
    const meant = [...this.#entries.values()].filter((entry) => entry.id === id || entry.setId === id);
    if (meant.length === 0) {
      throw new Fault("unknown-query", `cancel query "${id.slice(0, 128)}": not under way here`);
    }
    for (const entry of meant) entry.stop(new Fault("cancelled", `query "${entry.id}" was cancelled on request`));
  }

  stopAll(reason: Fault): void {
    for (const entry of this.#entries.values()) entry.stop(reason);
  }

  inUse(): SnapshotUse[] {
    const counts = new Map<string, SnapshotUse>();
    for (const { resolved } of this.#entries.values()) {
      const snapshot = resolved.snapshot.id;
      const version = resolved.version.name;
      const key = `${snapshot} ${version}`;
      const { epoch } = resolved.state;
      const use = counts.get(key) ?? create(SnapshotUseSchema, { snapshot, version, oldestEpoch: epoch });
      use.queries++;
      if (epoch < use.oldestEpoch) use.oldestEpoch = epoch;
      counts.set(key, use);
    }
    return [...counts.values()];
  }
}
