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
import type { Greeting, ShardTransport, ShardWay } from "../scatter/shard-transport.ts";
import type { RoutingState } from "./routing-state.ts";

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
    const converse = state.versions.get(tuple.version)?.converse === true;
    for (const [shard, seal] of snapshot.shardSeals) {
      const expected = { shard, ...tuple, stateDigest: seal.stateDigest, serviceVersion: tuple.version };
      for (const replica of state.endpoints.get(tuple.version)?.get(shard) ?? []) {
        probes.push(async () => {
          const failure = await probeRoute(
            transport,
            expected,
            { ...replica, version: tuple.version, converse },
            signal,
          );
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

interface WrongRoute {
  readonly reason: string;
  readonly answered: Stamp | undefined;
}

/**
 * Asks the placement over the channels and headers that a query would use: a stream, where queries would go by one, and
 * a unary call, which some of them always are. Undefined: what is expected is there.
 */
async function probeRoute(
  transport: ShardTransport,
  expected: Stamp,
  way: ShardWay,
  signal: AbortSignal,
): Promise<WrongRoute | undefined> {
  try {
    const reply = await transport.unary(
      {
        ...way,
        // Not a method of the service: it is not packed.
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
    const { bound, instance } = fromBinary(ListBindingsResponseSchema, reply.message);
    const wrong = wrongIn(bound, expected);
    if (wrong !== undefined) return wrong;
    const greeting = await transport.greet(way, VERIFY_TIMEOUT_MS, signal);
    return greeting === undefined ? undefined : wrongGreeting(greeting, instance, expected);
  } catch (error) {
    return { reason: faultFromUnknown(error, "probe").message, answered: undefined };
  }
}

function wrongIn(bound: readonly Stamp[], expected: Stamp): WrongRoute | undefined {
  const near = bound.find((s) => s.shard === expected.shard && s.snapshot === expected.snapshot) ?? bound[0];
  if (near === undefined) return { reason: "it has nothing bound", answered: undefined };
  const { shard, snapshot, stateDigest, serviceVersion } = near;
  const answered = { shard, snapshot, stateDigest, serviceVersion };
  const reason = stampDifference(expected, answered);
  return reason === undefined ? undefined : { reason, answered };
}

/**
 * A stream that leads to the process that answered the unary call leads to what that has bound: a hello names as much
 * as fits a frame. Of a process that does not say which it is, the hello must name it.
 */
function wrongGreeting(greeting: Greeting, instance: string, expected: Stamp): WrongRoute | undefined {
  const { bound } = greeting;
  const isNamed = bound.some((s) => s.shard === expected.shard && s.snapshot === expected.snapshot);
  const isSame = instance !== "" && greeting.instance === instance;
  if (isSame && !isNamed) return undefined;
  if (instance !== "" && greeting.instance !== "" && !isSame) {
    const reason = `its stream leads to instance ${greeting.instance}, a unary call to ${instance}`;
    return { reason, answered: undefined };
  }
  const wrong = wrongIn(bound, expected);
  return wrong === undefined ? undefined : { ...wrong, reason: `on its stream ${wrong.reason}` };
}

function tuplesOf(state: RoutingState): RouteTupleName[] {
  return [...state.snapshots.values()].flatMap((snapshot) =>
    [...snapshot.bindings.values()].map((version) => ({ snapshot: snapshot.id, version: version.name })),
  );
}
