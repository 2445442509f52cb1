/**
 * The proof that a table would work: every placement of every tuple is asked, over the channels and route headers that
 * queries use, what it has bound.
 */
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { faultFromUnknown } from "../../fault/fault-from-unknown.ts";
import { type Stamp, stampDifference } from "../../mesh/stamp.ts";
import {
  BindingService,
  ListBindingsRequestSchema,
  ListBindingsResponseSchema,
} from "../../wire/generated/skynetes/v1/binding_pb.ts";
import type { ShardTransport } from "../scatter/shard-transport.ts";
import type { PlacementEndpoint, RoutingState } from "./routing-state.ts";

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

/** What does not answer as the table says; `wanted` empty is every tuple of the table. */
export async function verifyTable(
  state: RoutingState,
  wanted: readonly RouteTupleName[],
  transport: ShardTransport,
  signal: AbortSignal,
): Promise<RouteProbeFailure[]> {
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
          const failure = await probeRoute(transport, expected, replica, signal);
          if (failure !== undefined) failures.push({ tuple, shard, node: replica.node, ...failure });
        });
      }
    }
  }
  const lanes = Array.from({ length: VERIFY_PARALLEL }, async () => {
    for (let probe = probes.shift(); probe !== undefined; probe = probes.shift()) await probe();
  });
  await Promise.all(lanes);
  return failures.sort((a, b) => a.shard - b.shard || (a.node < b.node ? -1 : 1));
}

/** Asks the placement over the channel and headers that a query would use. Undefined: it holds what is expected. */
async function probeRoute(
  transport: ShardTransport,
  expected: Stamp,
  replica: PlacementEndpoint,
  signal: AbortSignal,
): Promise<{ reason: string; answered: Stamp | undefined } | undefined> {
  try {
    const reply = await transport.unary(
      {
        address: replica.address,
        node: replica.node,
        version: expected.serviceVersion,
        converse: false,
        expected,
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

function tuplesOf(state: RoutingState): RouteTupleName[] {
  return [...state.snapshots.values()].flatMap((snapshot) =>
    [...snapshot.bindings.values()].map((version) => ({ snapshot: snapshot.id, version: version.name })),
  );
}
