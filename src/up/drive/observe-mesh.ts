/**
 * Asks every part of the mesh how it is, at the same time and with a deadline each. Whoever does not answer is down;
 * the plan is then only shorter.
 */
import type { Fault } from "../../fault/fault.ts";
import { faultFromUnknown } from "../../fault/fault-from-unknown.ts";
import type { Action } from "../../lifecycle/action.ts";
import { mayHoldLeaseAgain } from "../../lifecycle/gateway-lease.ts";
import type {
  DerivedShard,
  ObservedGateway,
  ObservedLag,
  ObservedMesh,
  ObservedNode,
  ObservedSeal,
  ObservedService,
  RefusedBind,
} from "../../lifecycle/observed-mesh.ts";
import type { VerifiedTuple } from "../../lifecycle/verified-tuple.ts";
import { type Cut, cutOf, positionIn } from "../../mesh/cut.ts";
import type { Clock } from "../../process/clock.ts";
import type { ChildState } from "../../process/supervisor.ts";
import type { DescribeResponse } from "../../wire/generated/skynetes/v1/binding_pb.ts";
import type { PartitionLag } from "../../wire/generated/skynetes/v1/node_agent_pb.ts";
import type { Cut as CutMessage } from "../../wire/generated/skynetes/v1/seal_pb.ts";
import { GATEWAY, type ServiceProcess, serviceChildName } from "../child/child-specs.ts";
import type { ControlClients } from "../child/control-clients.ts";
import type { MeshChildren } from "../child/mesh-children.ts";
import type { ControlState } from "../control/control-state.ts";
import type { ControlStore } from "../control/control-store.ts";
import { BindDeaths } from "./bind-deaths.ts";

/** A healthy part answers within milliseconds; one that loads a snapshot may hold its event loop for a while. */
const STATUS_TIMEOUT_MS = 3_000;
/** Above it a gateway that cannot be reached counts as having no queries under way any more. */
export const GATEWAY_LEASE_MS = 10_000;

export interface ObserveParts {
  readonly clock: Clock;
  readonly store: ControlStore;
  readonly children: MeshChildren;
  readonly clients: ControlClients;
  readonly memory: ObservationMemory;
}

/** What is kept between observations: facts of one instance of a process, void when it restarts. */
export class ObservationMemory {
  /** By instance of the service process. */
  readonly described = new Map<string, DescribeResponse>();
  /** By instance of the service process, then shard and snapshot. */
  readonly refused = new Map<string, Map<string, RefusedBind>>();
  /** What has killed a process says something of the next one too. */
  readonly deaths = new BindDeaths();
  /** By instance of the gateway. */
  readonly verified = new Map<string, readonly VerifiedTuple[]>();
  /** By snapshot, shard and node: what was worked out from the log. As many as replicas were ever doubted. */
  readonly derived = new Map<string, DerivedShard>();
  gatewayInstance: string | undefined;
  gatewaySeenAt: number | undefined;
  /** It was silent for longer than a lease, and has not come up with the table since. */
  gatewayLostLease = false;
  /** The furthest that any node has said it holds, of each partition. */
  committed: Cut = [];

  /** Remembers what a node holds. */
  holds(position: Cut): void {
    const further = position.filter((p) => {
      const known = positionIn(this.committed, p.topic, p.partition);
      return known === undefined || known.topicId !== p.topicId || known.position < p.position;
    });
    if (further.length === 0) return;
    this.committed = cutOf([
      ...this.committed.filter((p) => positionIn(further, p.topic, p.partition) === undefined),
      ...further,
    ]);
  }

  /** Forgets the instances that are gone. */
  keepOnly(instances: ReadonlySet<string>): void {
    for (const map of [this.described, this.refused]) {
      for (const instance of map.keys()) if (!instances.has(instance)) map.delete(instance);
    }
    for (const instance of this.verified.keys()) if (instance !== this.gatewayInstance) this.verified.delete(instance);
  }
}

/** `underWay` was taken before `seals`, and both before anything else is asked. */
export async function observeMesh(
  parts: ObserveParts,
  services: readonly ServiceProcess[],
  seals: readonly ObservedSeal[],
  underWay: readonly Action[],
): Promise<ObservedMesh> {
  const names = nodesHolding(parts.store.state);
  const [nodes, observedServices, gateway] = await Promise.all([
    Promise.all(names.map((node) => observeNode(parts, node))),
    Promise.all(services.map((service) => observeService(parts, service))),
    observeGateway(parts),
  ]);
  const instances = observedServices.flatMap(({ status }) => (status.kind === "up" ? [status.instance] : []));
  parts.memory.keepOnly(new Set(instances));
  // Read last and together: what was recorded while the others were asked is in.
  const { state, published } = parts.store;
  return {
    nowMs: parts.clock.now(),
    snapshots: state.snapshots,
    table: published.table,
    floors: published.floors,
    lastDueMs: state.lastDueMs,
    nodes,
    services: observedServices,
    seals,
    gateways: [gateway],
    underWay,
    placements: state.placements,
    quarantined: state.quarantined,
    derived: [...parts.memory.derived.values()],
    retired: state.retired,
    retirements: state.retirements,
  };
}

/** Nodes that hold a shard, or hold one still. */
export function nodesHolding({ placements }: ControlState): readonly string[] {
  return [...new Set(placements.map(({ node }) => node))].sort();
}

async function observeNode(parts: ObserveParts, name: string): Promise<ObservedNode> {
  const child = parts.children.state(name);
  if (child?.kind !== "ready") return { name, status: { kind: "down", reason: whyNotReady(child) } };
  try {
    const status = await parts.clients
      .node(child.addresses.address ?? "")
      .getNodeStatus({}, { timeoutMs: STATUS_TIMEOUT_MS });
    const shards = status.shards.map((shard) => ({
      shard: shard.shard,
      position: cutOfMessage(shard.position),
      horizon: cutOfMessage(shard.horizon),
      frozen: shard.frozen.map(({ snapshot, stateDigest, manifestSha256, tables }) => ({
        snapshot,
        stateDigest,
        manifestSha256,
        tables: tables.map(({ table, digest }) => ({ table, digest })),
      })),
      rejected: shard.rejected,
      alarm: shard.alarm === "" ? undefined : shard.alarm,
      archiveAlarm: shard.archiveAlarm === "" ? undefined : shard.archiveAlarm,
      lag: longestLag(shard.lags),
    }));
    for (const { position } of shards) parts.memory.holds(position);
    return { name, status: { kind: "up", instance: status.instance, shards } };
  } catch (error) {
    return { name, status: { kind: "down", reason: reason(error, name) } };
  }
}

function longestLag(lags: readonly PartitionLag[]): ObservedLag | undefined {
  const longest = lags.toSorted((a, b) => Number(b.behindMs - a.behindMs))[0];
  if (longest === undefined) return undefined;
  const { topic, partition, position, bound = position, behindMs } = longest;
  return { topic, partition, records: bound > position ? bound - position : 0n, behindMs: Number(behindMs) };
}

async function observeService(parts: ObserveParts, { node, version }: ServiceProcess): Promise<ObservedService> {
  const name = serviceChildName(node, version.name);
  const down = (why: string): ObservedService => ({
    version: version.name,
    node,
    status: { kind: "down", reason: why },
  });
  const child = parts.children.state(name);
  if (child?.kind !== "ready") return down(whyNotReady(child));
  const address = child.addresses.address ?? "";
  const client = parts.clients.service(address);
  const { memory } = parts;
  try {
    const { bound, instance } = await client.listBindings({}, { timeoutMs: STATUS_TIMEOUT_MS });
    const described = memory.described.get(instance) ?? (await client.describe({}, { timeoutMs: STATUS_TIMEOUT_MS }));
    memory.described.set(described.instance, described);
    if (described.serviceVersion !== version.name || described.service !== version.service) {
      return down(
        `it says that it is ${described.serviceVersion} of ${described.service}, not ${version.name} of ${version.service}`,
      );
    }
    const refused = [
      ...(memory.refused.get(instance)?.values() ?? []),
      ...memory.deaths.refused(version.name, node, parts.store.state.shards),
    ];
    const { service, descriptors, converse } = described;
    const stamps = bound.map(({ shard, snapshot, stateDigest, serviceVersion }) => ({
      shard,
      snapshot,
      stateDigest,
      serviceVersion,
    }));
    return {
      version: version.name,
      node,
      status: { kind: "up", instance, address, service, descriptors, converse, bound: stamps, refused },
    };
  } catch (error) {
    return down(reason(error, name));
  }
}

async function observeGateway(parts: ObserveParts): Promise<ObservedGateway> {
  const child = parts.children.state(GATEWAY);
  const { memory, clock } = parts;
  // A process that has ended has no queries; one that only does not answer may.
  if (child?.kind !== "ready") {
    memory.gatewaySeenAt = undefined;
    memory.gatewayLostLease = false;
    return { name: GATEWAY, leaseAlive: false, status: undefined };
  }
  try {
    const client = parts.clients.gateway(child.addresses.admin ?? "");
    const status = await client.getGatewayStatus({}, { timeoutMs: STATUS_TIMEOUT_MS });
    memory.gatewaySeenAt = clock.monotonic();
    memory.gatewayInstance = status.instance;
    memory.gatewayLostLease &&= !mayHoldLeaseAgain(status, parts.store.published.table);
    return {
      name: GATEWAY,
      leaseAlive: !memory.gatewayLostLease,
      status: {
        instance: status.instance,
        epoch: status.epoch,
        inUse: status.inUse.map(({ snapshot, version, queries, oldestEpoch }) => ({
          snapshot,
          version,
          queries,
          oldestEpoch,
        })),
        differences: status.differences.map(({ shard, snapshot, version, nodes }) => ({
          shard,
          snapshot,
          version,
          nodes,
        })),
        verified: memory.verified.get(status.instance) ?? [],
      },
    };
  } catch {
    const seen = memory.gatewaySeenAt;
    memory.gatewayLostLease ||= seen !== undefined && clock.monotonic() - seen >= GATEWAY_LEASE_MS;
    return { name: GATEWAY, leaseAlive: !memory.gatewayLostLease, status: undefined };
  }
}

export function cutOfMessage(message: CutMessage | undefined): Cut {
  return cutOf(
    (message?.positions ?? []).map(({ topic, topicId, partition, position }) => ({
      topic,
      topicId,
      partition,
      position,
    })),
  );
}

function whyNotReady(child: ChildState | undefined): string {
  if (child === undefined) return "not started";
  return child.kind === "down" ? child.reason : child.kind;
}

function reason(error: unknown, name: string): string {
  const fault: Fault = faultFromUnknown(error, `ask ${name}`);
  return fault.message;
}
