import assert from "node:assert";
import type { ShardRequest } from "../plan/shard-request.ts";
import type { Partial } from "./merge-execution.ts";

/**
 * The requests of the round under way, each with what its answer is for. This is where a shard enters a merge exactly
 * once, whatever was retried or hedged on the way.
 */
export class PendingRequests<Purpose> {
  readonly #pending = new Map<ShardRequest, Purpose>();
  readonly #excluded = new Set<number>();
  readonly #failures = new Map<number, unknown>();

  open(purposes: ReadonlyMap<ShardRequest, Purpose>): readonly ShardRequest[] {
    assert(this.#pending.size === 0, "a round begins while requests of the last one are pending");
    for (const [request, purpose] of purposes) this.#pending.set(request, purpose);
    return [...purposes.keys()];
  }

  /** Whether the answer is still wanted: not when its shard is excluded. */
  isWanted({ request, shard }: Partial): boolean {
    if (this.#excluded.has(shard)) return false;
    assert(this.#pending.has(request), `shard ${shard} enters the merge a second time`);
    return true;
  }

  /** What the answer is for; undefined when its shard is excluded. */
  take({ request, shard }: Partial): Purpose | undefined {
    assert(request.shard === shard, `the partial of shard ${shard} answers a request to shard ${request.shard}`);
    if (this.#excluded.has(shard)) return undefined;
    const purpose = this.#pending.get(request);
    assert(purpose !== undefined, `shard ${shard} enters the merge a second time`);
    this.#pending.delete(request);
    return purpose;
  }

  /** Its partial failed half way. */
  fail(shard: number, fault: unknown): void {
    this.#failures.set(shard, fault);
  }

  exclude(shard: number): void {
    this.#excluded.add(shard);
    for (const request of this.#pending.keys()) if (request.shard === shard) this.#pending.delete(request);
  }

  /** Like `exclude`, where parts that are merged cannot be taken out again. Faults: that of its partial. */
  excludeUnmerged(shard: number): void {
    if (this.#failures.has(shard)) throw this.#failures.get(shard);
    const isPending = [...this.#pending.keys()].some((request) => request.shard === shard);
    assert(isPending, `shard ${shard} cannot be given up: its partial is merged already`);
    this.exclude(shard);
  }

  assertNone(): void {
    assert(this.#pending.size === 0, "the round is not over: requests are pending");
  }
}
