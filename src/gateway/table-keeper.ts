import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { Fault } from "../fault/fault.ts";
import { faultFromUnknown } from "../fault/fault-from-unknown.ts";
import { type Stamp, stampDifference } from "../mesh/stamp.ts";
import { step } from "../telemetry/step-channel.ts";
import {
  BindingService,
  ListBindingsRequestSchema,
  ListBindingsResponseSchema,
} from "../wire/generated/skynetes/v1/binding_pb.ts";
import type { RouteTable } from "../wire/generated/skynetes/v1/table_pb.ts";
import { loadRoutingState, type ReadSeal, tableDigest } from "./resolve/load-routing-state.ts";
import type { PlacementEndpoint, RoutingState } from "./resolve/routing-state.ts";
import type { ShardTransport } from "./scatter/shard-transport.ts";

/** A probe that takes longer is no proof that queries would be answered. */
const VERIFY_TIMEOUT_MS = 5_000;
/** Probes under way at once: a mesh has shards × placements × tuples of them. */
const VERIFY_PARALLEL = 32;

export interface RouteTupleName {
  readonly snapshot: string;
  readonly version: string;
}

export interface RouteProbeFailure {
  readonly tuple: RouteTupleName;
  readonly shard: number;
  readonly node: string;
  readonly reason: string;
  readonly answered: Stamp | undefined;
}

/** The one route table in use, its epochs, and the proof that a future one works. */
export class TableKeeper {
  readonly #readSeal: ReadSeal;
  readonly #transport: ShardTransport;
  readonly #onSwap: (state: RoutingState) => void;
  #state: RoutingState | undefined;
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

  #apply(table: RouteTable): Promise<bigint> {
    return step("gateway", "apply table", { epoch: Number(table.epoch) }, async () => {
      const former = this.#state;
      if (table.epoch <= 0n) throw new Fault("invalid-table", `apply table: epoch ${table.epoch} is not positive`);
      if (former !== undefined && table.epoch <= former.epoch) {
        if (table.epoch === former.epoch && tableDigest(table) === former.sha256) return former.epoch;
        const what = table.epoch === former.epoch ? "another table has this epoch" : `epoch ${former.epoch} is in use`;
        throw new Fault("table-conflict", `apply table of epoch ${table.epoch}: ${what}`);
      }
      const state = await loadRoutingState(table, former, this.#readSeal);
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
    const tuples = wanted.length > 0 ? wanted : tuplesOf(state);
    const failures: RouteProbeFailure[] = [];
    const probes: (() => Promise<void>)[] = [];
    for (const tuple of tuples) {
      const snapshot = state.snapshots.get(tuple.snapshot);
      const isBound = [...(snapshot?.bindings.values() ?? [])].some((version) => version.name === tuple.version);
      if (snapshot === undefined || !isBound) {
        failures.push({ tuple, shard: -1, node: "", reason: "the table does not bind it", answered: undefined });
        continue;
      }
      for (const [shard, seal] of snapshot.shardSeals) {
        const expected = { shard, ...tuple, stateDigest: seal.stateDigest, serviceVersion: tuple.version };
        for (const replica of state.endpoints.get(tuple.version)?.get(shard) ?? []) {
          probes.push(async () => {
            const failure = await this.#probe(expected, replica, signal);
            if (failure !== undefined) failures.push({ tuple, shard, node: replica.node, ...failure });
          });
        }
      }
    }
    const lanes = Array.from({ length: VERIFY_PARALLEL }, async () => {
      for (let probe = probes.shift(); probe !== undefined; probe = probes.shift()) await probe();
    });
    await Promise.all(lanes);
    // Connections that were opened for the probe alone are closed; a verified table is applied soon after.
    if (failures.length > 0 && this.#state !== undefined) this.#transport.keep(addressesOf(this.#state));
    return failures.sort((a, b) => a.shard - b.shard || (a.node < b.node ? -1 : 1));
  }

  async #probe(
    expected: Stamp,
    replica: PlacementEndpoint,
    signal: AbortSignal,
  ): Promise<{ reason: string; answered: Stamp | undefined } | undefined> {
    try {
      const reply = await this.#transport.unary(
        {
          address: replica.address,
          node: replica.node,
          version: expected.serviceVersion,
          shard: expected.shard,
          snapshot: expected.snapshot,
          path: `/${BindingService.typeName}/${BindingService.method.listBindings.name}`,
          request: toBinary(ListBindingsRequestSchema, { $typeName: "skynetes.v1.ListBindingsRequest" }),
          timeoutMs: VERIFY_TIMEOUT_MS,
          traceparent: undefined,
        },
        signal,
      );
      const bound = fromBinary(ListBindingsResponseSchema, reply.message).bound;
      const near = bound.find((s) => s.shard === expected.shard && s.snapshot === expected.snapshot) ?? bound[0];
      const answered =
        near === undefined
          ? undefined
          : {
              shard: near.shard,
              snapshot: near.snapshot,
              stateDigest: near.stateDigest,
              serviceVersion: near.serviceVersion,
            };
      if (answered === undefined) return { reason: "it has nothing bound", answered };
      const difference = stampDifference(expected, answered);
      return difference === undefined ? undefined : { reason: difference, answered };
    } catch (error) {
      return { reason: faultFromUnknown(error, "probe").message, answered: undefined };
    }
  }
}

function addressesOf(state: RoutingState): Set<string> {
  const replicas = [...state.endpoints.values()].flatMap((byShard) => [...byShard.values()].flat());
  return new Set(replicas.map((replica) => replica.address));
}

function tuplesOf(state: RoutingState): RouteTupleName[] {
  return [...state.snapshots.values()].flatMap((snapshot) =>
    [...snapshot.bindings.values()].map((version) => ({ snapshot: snapshot.id, version: version.name })),
  );
}
