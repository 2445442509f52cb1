/**
 * Carries out one action of a plan. Each is idempotent and may fail: the next plan names it again if it is still wanted.
 */
import { create } from "@bufbuild/protobuf";
import { Fault } from "../../fault/fault.ts";
import { faultFromUnknown } from "../../fault/fault-from-unknown.ts";
import type { Action } from "../../lifecycle/action.ts";
import type { Log } from "../../log/log.ts";
import type { Manifest } from "../../manifest/manifest.ts";
import { stampDifference } from "../../mesh/stamp.ts";
import { CutSchema } from "../../wire/generated/skynetes/v1/seal_pb.ts";
import { GATEWAY } from "../child/child-specs.ts";
import {
  forgetPlacement,
  quarantineReplica,
  readmitReplica,
  releasePlacement,
  replicaRebuilt,
} from "../control/placement-wishes.ts";
import { createScheduled, doomSnapshot, fixCut, forgetSnapshot, retireSnapshot } from "../control/wishes.ts";
import type { ArchiveSeals } from "../data/archive-seals.ts";
import { cutFromLog } from "../data/cut-from-log.ts";
import type { ObserveParts } from "./observe-mesh.ts";

export interface ActionParts extends ObserveParts {
  readonly manifest: Manifest;
  readonly log: Log;
  readonly seals: ArchiveSeals;
}

/** A freeze writes what is new since the last one: the first one writes everything. */
const FREEZE_TIMEOUT_MS = 600_000;
/** The whole log of a shard is read again. */
const REPLAY_TIMEOUT_MS = 3_600_000;
/** Opening a store, or deleting a directory. */
const SHARD_TIMEOUT_MS = 60_000;
/** `load` builds a shard's state in memory. */
const BIND_TIMEOUT_MS = 180_000;
const GATEWAY_TIMEOUT_MS = 20_000;
const QUICK_TIMEOUT_MS = 10_000;

export async function executeAction(action: Action, parts: ActionParts, signal: AbortSignal): Promise<void> {
  const { store, clients, manifest, clock, seals } = parts;
  switch (action.kind) {
    case "create-scheduled":
      return store.update((state) => createScheduled(state, action.snapshot, action.dueMs, manifest));
    case "cut": {
      const record = store.state.snapshots.find((r) => r.id === action.snapshot);
      if (record === undefined || record.cut !== undefined) return;
      const wish = { ...record, snapshot: record.id, committed: parts.memory.committed };
      const cut = await cutFromLog(parts.log, manifest.mesh.topics, wish, clock.now());
      return store.update((state) => fixCut(state, action.snapshot, cut));
    }
    case "adopt":
      return store.update((state) => fixCut(state, action.snapshot, action.cut));
    case "freeze": {
      const { snapshot, shard, cut } = action;
      const request = { snapshot, shard, cut: create(CutSchema, { positions: [...cut] }) };
      await clients
        .node(nodeAddress(parts, action.node))
        .freezeShard(request, { timeoutMs: FREEZE_TIMEOUT_MS, signal });
      return;
    }
    case "seal":
      return seals.write(action, store.state.snapshots.find((r) => r.id === action.snapshot)?.asOfMs);
    case "bind":
      return bind(action, parts, signal);
    case "unbind": {
      const { snapshot, shard, address } = action;
      const client = clients.node(nodeAddress(parts, action.node));
      await client.unbindShard({ snapshot, shard, address }, { timeoutMs: QUICK_TIMEOUT_MS, signal });
      return;
    }
    case "verify":
      return verify(action, parts, signal);
    case "publish":
      return store.publish(action.table, action.floors);
    case "apply": {
      const client = clients.gateway(gatewayAddress(parts));
      await client.applyTable({ table: action.table }, { timeoutMs: GATEWAY_TIMEOUT_MS, signal });
      return;
    }
    case "rederive": {
      const { snapshot, shard, node, cut } = action;
      const request = { shard, cut: create(CutSchema, { positions: [...cut] }) };
      const client = clients.node(nodeAddress(parts, node));
      const { stateDigest, tables } = await client.rederiveShard(request, { timeoutMs: REPLAY_TIMEOUT_MS, signal });
      const digests = tables.map(({ table, digest }) => ({ table, digest }));
      parts.memory.derived.set(`${snapshot} ${shard} ${node}`, { snapshot, shard, node, stateDigest, tables: digests });
      return;
    }
    case "quarantine": {
      const { kind: _, ...found } = action;
      return store.update((state) => quarantineReplica(state, { ...found, sinceMs: clock.now(), rebuilt: false }));
    }
    case "rebuild": {
      const { shard, node, divergent } = action;
      const client = clients.node(nodeAddress(parts, node));
      await client.rebuildShard({ shard, divergent: [...divergent] }, { timeoutMs: SHARD_TIMEOUT_MS, signal });
      return store.update((state) => replicaRebuilt(state, shard, node));
    }
    case "readmit":
      return store.update((state) => readmitReplica(state, action.shard, action.node));
    case "host": {
      const client = clients.node(nodeAddress(parts, action.node));
      await client.hostShard({ shard: action.shard }, { timeoutMs: SHARD_TIMEOUT_MS, signal });
      return;
    }
    case "release":
      return store.update((state) => releasePlacement(state, action.shard, action.node));
    case "remove": {
      const { shard, node } = action;
      const client = clients.node(nodeAddress(parts, node));
      await client.removeShard({ shard }, { timeoutMs: SHARD_TIMEOUT_MS, signal });
      return store.update((state) => forgetPlacement(state, shard, node));
    }
    case "retire":
      return store.update((state) => retireSnapshot(state, action.snapshot, { atMs: clock.now(), why: action.why }));
    case "doom":
      return store.update((state) => doomSnapshot(state, action.snapshot));
    case "drop": {
      const client = clients.node(nodeAddress(parts, action.node));
      await client.dropSnapshot({ snapshot: action.snapshot }, { timeoutMs: QUICK_TIMEOUT_MS, signal });
      return;
    }
    case "delete-seal":
      return seals.remove(action.snapshot);
    case "forget":
      return store.update((state) => forgetSnapshot(state, action.snapshot));
    default:
      return action satisfies never;
  }
}

/** Binding and unbinding name the same things. */
type BindAction = Extract<Action, { kind: "bind" | "unbind" }>;

async function bind(action: BindAction, parts: ActionParts, signal: AbortSignal): Promise<void> {
  const { snapshot, shard, node, version, address } = action;
  const instance = await instanceAt(parts, address, signal);
  const key = `${shard} ${snapshot}`;
  const refusals = parts.memory.refused.get(instance);
  try {
    const client = parts.clients.node(nodeAddress(parts, node));
    const { bound } = await client.bindShard({ snapshot, shard, address }, { timeoutMs: BIND_TIMEOUT_MS, signal });
    const expected = {
      shard,
      snapshot,
      stateDigest: parts.seals.stateDigest(snapshot, shard) ?? "",
      serviceVersion: version,
    };
    const difference = bound?.stamp === undefined ? "it has no stamp" : stampDifference(expected, bound.stamp);
    if (difference !== undefined) {
      throw new Fault("stamp-mismatch", `bind ${snapshot} shard ${shard} to ${version} on ${node}: ${difference}`);
    }
    refusals?.delete(key);
    parts.memory.deaths.lived(action);
  } catch (error) {
    const fault = faultFromUnknown(error, `bind ${snapshot} shard ${shard}`);
    // A process that is away has refused nothing.
    if (fault.code !== "UNAVAILABLE" && fault.code !== "DEADLINE_EXCEEDED" && fault.code !== "CANCELLED") {
      const known = refusals ?? new Map();
      known.set(key, { shard, snapshot, reason: fault.message });
      parts.memory.refused.set(instance, known);
    } else if (fault.code === "UNAVAILABLE" && !signal.aborted && (await hasEnded(instance, parts, address, signal))) {
      parts.memory.deaths.died(action, parts.clock.monotonic());
    }
    throw fault;
  }
}

async function instanceAt(parts: ActionParts, address: string, signal: AbortSignal): Promise<string> {
  return (await parts.clients.service(address).listBindings({}, { timeoutMs: QUICK_TIMEOUT_MS, signal })).instance;
}

/** The node may be what is away; then the service is as it was. */
async function hasEnded(instance: string, parts: ActionParts, address: string, signal: AbortSignal): Promise<boolean> {
  try {
    return (await instanceAt(parts, address, signal)) !== instance;
  } catch (error) {
    return faultFromUnknown(error, `ask ${address}`).code === "UNAVAILABLE";
  }
}

async function verify(action: Action & { kind: "verify" }, parts: ActionParts, signal: AbortSignal): Promise<void> {
  const { memory, clients } = parts;
  const instance = memory.gatewayInstance;
  const client = clients.gateway(gatewayAddress(parts));
  const tuples = action.tuples.map(({ snapshot, version }) => ({ snapshot, version }));
  const { failures } = await client.verifyRoutes(
    { table: action.table, tuples },
    { timeoutMs: GATEWAY_TIMEOUT_MS, signal },
  );
  const failed = new Set(failures.map((f) => `${f.tuple?.snapshot} ${f.tuple?.version}`));
  const verified = action.tuples.filter((t) => !failed.has(`${t.snapshot} ${t.version}`));
  // What another instance has verified says nothing of this one.
  if (instance !== undefined && instance === memory.gatewayInstance) {
    const before = (memory.verified.get(instance) ?? []).filter(
      (t) => !action.tuples.some((other) => other.snapshot === t.snapshot && other.version === t.version),
    );
    memory.verified.set(instance, [...before, ...verified]);
  }
  const [first] = failures;
  if (first !== undefined) {
    const tuple = `${first.tuple?.snapshot}/${first.tuple?.version}`;
    throw new Fault(
      "shard-unavailable",
      `verify ${tuple}: shard ${first.shard} on ${first.node}: ${first.reason}` +
        (failures.length === 1 ? "" : `, and ${failures.length - 1} more`),
      { shard: first.shard },
    );
  }
}

function nodeAddress(parts: ActionParts, node: string): string {
  return childAddress(parts, node, "address");
}

function gatewayAddress(parts: ActionParts): string {
  return childAddress(parts, GATEWAY, "admin");
}

function childAddress(parts: ActionParts, name: string, address: string): string {
  const state = parts.children.state(name);
  if (state?.kind !== "ready") throw new Fault("not-ready", `reach ${name}: it is ${state?.kind ?? "not started"}`);
  return state.addresses[address] ?? "";
}
