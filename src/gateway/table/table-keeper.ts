import { Fault } from "../../fault/fault.ts";
import { step } from "../../telemetry/step-channel.ts";
import type { RouteTable } from "../../wire/generated/skynetes/v1/table_pb.ts";
import type { ShardTransport } from "../scatter/shard-transport.ts";
import { loadRoutingState, type ReadSeal, tableDigest } from "./load-routing-state.ts";
import type { RoutingState } from "./routing-state.ts";
import { type RouteProbeFailure, type RouteTupleName, verifyTable } from "./verify-table.ts";

/** The one route table in use, its epochs, and the proof that a future one works. */
export class TableKeeper {
  readonly #readSeal: ReadSeal;
  readonly #transport: ShardTransport;
  readonly #onSwap: (state: RoutingState) => void;
  #state: RoutingState | undefined;
  /** Made ready beside the state in use: an apply in between makes it void. */
  #prepared: RoutingState | undefined;
  /** Tables load one after another, so that a slow older one cannot overtake. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(parts: {
    readonly readSeal: ReadSeal;
    readonly transport: ShardTransport;
    /** Called in the same turn as the swap: what clients see of services changes with the table. */
    readonly onSwap: (state: RoutingState) => void;
  }) {
    this.#readSeal = parts.readSeal;
    this.#transport = parts.transport;
    this.#onSwap = parts.onSwap;
  }

  get loaded(): RoutingState | undefined {
    return this.#state;
  }

  /** Fault `not-ready` before the first table. */
  current(): RoutingState {
    if (this.#state !== undefined) return this.#state;
    throw new Fault("not-ready", "no route table yet: the mesh has not been applied to this gateway", {
      retryAfterMs: 500,
    });
  }

  /**
   * Loads everything, then swaps in one turn of the loop. An equal table under the epoch in use is acknowledged again.
   * Faults: `table-conflict` for an epoch that is not new, `invalid-table`; in both cases the table in use stays.
   */
  apply(table: RouteTable): Promise<bigint> {
    const applied = this.#last.then(() => this.#apply(table));
    this.#last = applied.catch(() => undefined);
    return applied;
  }

  /** For a table that may have been overtaken on its way here. Fault `invalid-table`. */
  async applyUnlessNewer(table: RouteTable): Promise<void> {
    try {
      await this.apply(table);
    } catch (error) {
      if (this.#state === undefined || this.#state.epoch <= table.epoch) throw error;
    }
  }

  /** Loads a table that is to be applied soon, without using it. Faults as `apply`. */
  prepare(table: RouteTable): Promise<void> {
    const prepared = this.#last.then(async () => {
      if (!this.#isInUse(table)) this.#prepared = await loadRoutingState(table, this.#state, this.#readSeal);
    });
    this.#last = prepared.catch(() => undefined);
    return prepared;
  }

  /** Faults: `table-conflict` for an epoch that is not new, `invalid-table`. */
  #isInUse(table: RouteTable): boolean {
    const former = this.#state;
    if (table.epoch <= 0n) throw new Fault("invalid-table", `apply table: epoch ${table.epoch} is not positive`);
    if (former === undefined || table.epoch > former.epoch) return false;
    if (table.epoch === former.epoch && tableDigest(table) === former.sha256) return true;
    const what = table.epoch === former.epoch ? "another table has this epoch" : `epoch ${former.epoch} is in use`;
    throw new Fault("table-conflict", `apply table of epoch ${table.epoch}: ${what}`);
  }

  #apply(table: RouteTable): Promise<bigint> {
    return step("gateway", "apply table", { epoch: Number(table.epoch) }, async () => {
      if (this.#isInUse(table)) return table.epoch;
      const prepared = this.#prepared;
      this.#prepared = undefined;
      const isPrepared = prepared?.sha256 === tableDigest(table);
      const state = isPrepared ? prepared : await loadRoutingState(table, this.#state, this.#readSeal);
      this.#state = state;
      this.#transport.keep(addressesOf(state));
      this.#onSwap(state);
      return state.epoch;
    });
  }

  /**
   * Asks every replica of every tuple what it has bound, through the channels and route headers that queries take.
   * Faults: `invalid-table`; what does not verify is returned.
   */
  async verify(
    table: RouteTable,
    wanted: readonly RouteTupleName[],
    signal: AbortSignal,
  ): Promise<RouteProbeFailure[]> {
    const state = await loadRoutingState(table, this.#state, this.#readSeal);
    const failures = await verifyTable(state, wanted, this.#transport, signal);
    // Connections that were opened for the probe alone are closed; a verified table is applied soon after.
    if (failures.length > 0 && this.#state !== undefined) this.#transport.keep(addressesOf(this.#state));
    return failures;
  }
}

function addressesOf(state: RoutingState): Set<string> {
  const replicas = [...state.endpoints.values()].flatMap((byShard) => [...byShard.values()].flat());
  return new Set(replicas.map((replica) => replica.address));
}
