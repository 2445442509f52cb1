import { Fault } from "../../fault/fault.ts";
import type { MethodPlan } from "../../merge-plan/method-plan.ts";
import { LATEST } from "../../mesh/snapshot-id.ts";
import type { QueryTarget } from "../receive/query-intent.ts";
import type { RoutingState, SnapshotState, VersionState } from "../table/routing-state.ts";
import { retiredFault } from "./retired-fault.ts";

/** Exactly what will answer: one snapshot, one version, one method. */
export interface ResolvedQuery {
  readonly state: RoutingState;
  readonly snapshot: SnapshotState;
  readonly version: VersionState;
  readonly plan: MethodPlan;
  /** Snapshot and version were both named: the answer can never change. */
  readonly pinned: boolean;
}

/**
 * What a name means in one table. Names are looked up, never interpreted: no path or address is built from them.
 *
 * Faults: `unknown-service`, `unknown-snapshot`, `snapshot-retired`, `snapshot-expired`, `unknown-version`, `unknown-method`.
 */
export function resolveQuery(state: RoutingState, target: QueryTarget): ResolvedQuery {
  const attempted = `resolve ${target.service}/${target.method} at "${target.snapshot}"`;
  const public_ = state.surface.get(target.service);
  if (public_ === undefined) {
    throw new Fault("unknown-service", `${attempted}: no such service; there are ${listed(state.surface.keys())}`);
  }
  const snapshot = resolveSnapshot(state, target.snapshot, target.service);
  const version = snapshot.bindings.get(target.service);
  if (version === undefined) {
    const bound = listed(snapshot.bindings.keys());
    throw new Fault("unknown-service", `${attempted}: the service is not bound at this snapshot; bound are ${bound}`);
  }
  if (target.version !== undefined && target.version !== version.name) {
    throw new Fault("unknown-version", `${attempted}: version "${target.version}" is not bound, "${version.name}" is`);
  }
  const plan = version.plans.get(target.method);
  if (plan === undefined) {
    throw new Fault("unknown-method", `${attempted}: no such method; there are ${listed(version.plans.keys())}`);
  }
  return { state, snapshot, version, plan, pinned: target.version !== undefined && target.snapshot !== LATEST };
}

export function resolveSnapshot(state: RoutingState, id: string, service: string): SnapshotState {
  if (id === LATEST) {
    const latest = state.latest.get(service);
    if (latest === undefined) {
      throw new Fault("unknown-snapshot", `resolve snapshot "latest": no snapshot serves ${service} on every shard`);
    }
    return state.snapshots.get(latest) as SnapshotState;
  }
  return namedSnapshot(state, id);
}

export function namedSnapshot(state: RoutingState, id: string): SnapshotState {
  const found = state.snapshots.get(id);
  if (found !== undefined) return found;
  const retired = state.retirements.get(id);
  if (retired !== undefined) throw retiredFault(retired);
  if (state.retired.has(id)) throw new Fault("snapshot-retired", `resolve snapshot "${id}": it is retired`);
  throw new Fault("unknown-snapshot", `resolve snapshot "${quoted(id)}": no such snapshot`);
}

/**
 * The one snapshot of an answer set. For `latest` the services may differ in what it means; then it is the newest of
 * their latest snapshots at which all of them are bound.
 */
export function commonSnapshot(state: RoutingState, id: string, services: readonly string[]): string {
  if (id !== LATEST) return namedSnapshot(state, id).id;
  const known = services.filter((service) => state.surface.has(service));
  if (known.length === 0) {
    const there = listed(state.surface.keys());
    throw new Fault("unknown-service", `resolve ${listed(services)}: no such service; there are ${there}`);
  }
  const candidates = known
    .map((service) => state.latest.get(service))
    .filter((latest) => latest !== undefined)
    .map((latest) => state.snapshots.get(latest) as SnapshotState)
    .filter((snapshot) => known.every((service) => snapshot.bindings.has(service)))
    .sort((a, b) => b.createdAtMs - a.createdAtMs || (a.id < b.id ? 1 : -1));
  const newest = candidates[0];
  if (newest === undefined) {
    throw new Fault(
      "unknown-snapshot",
      `resolve snapshot "latest": no latest snapshot serves ${listed(services)} together`,
    );
  }
  return newest.id;
}

function listed(names: Iterable<string>): string {
  const all = [...names].sort();
  if (all.length === 0) return "none";
  return all.length > 20 ? `${all.slice(0, 20).join(", ")} and ${all.length - 20} more` : all.join(", ");
}

/** What a client sent is shown back at a length that fits a log line. */
function quoted(text: string): string {
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
