import type { RouteTable } from "../wire/generated/skynetes/v1/table_pb.ts";
import { type BuiltTable, buildTable, routedSeal, sameContent } from "./build-table.ts";
import type { MeshFacts } from "./mesh-facts.ts";
import { type PlanStep, type PlanStepBuilder, planStep } from "./plan-step.ts";
import { keptTuples, type RouteTuple, wishedTuples } from "./route-tuple.ts";
import type { VerifiedTuple } from "./verified-tuple.ts";
import { areAmong, endpointsIn, type VersionEndpoint, versionRoutes, wayTo } from "./version-endpoints.ts";

/**
 * verify → serve. Make before break: a tuple enters the table when every gateway that holds a lease has reached it
 * through its own data path, and what it replaces leaves in the same table. Endpoints of tuples that serve already are
 * exchanged the same way; taking one away needs no proof.
 */
export function planTable(facts: MeshFacts): PlanStep {
  const step = planStep();
  const epoch = nextEpoch(facts);
  const kept = keptTuples(facts);
  const wished = facts.observed.snapshots.flatMap((record) => wishedTuples(facts, record));
  const entered: RouteTuple[] = [];
  const published = new Map<string, readonly VersionEndpoint[]>();
  const probes: { tuple: VerifiedTuple; service: string; endpoints: readonly VersionEndpoint[] }[] = [];

  for (const version of [...new Set([...kept, ...wished].map((tuple) => tuple.version))].sort()) {
    const keptHere = kept.filter((tuple) => tuple.version === version);
    const newHere = wished.filter(
      (tuple) => tuple.version === version && !keptHere.some((k) => k.snapshot === tuple.snapshot),
    );
    const { endpoints, entering } = versionRoutes(facts, version, keptHere, newHere);
    // What is in quarantine goes at once, whatever else is not proved yet.
    const last = endpointsIn(facts.observed.table, version).filter((e) => !facts.isQuarantined(e.shard, e.node));
    const wayOf = (tuple: RouteTuple): VerifiedTuple => ({
      snapshot: tuple.snapshot,
      version,
      way: wayTo(facts, version, sealOf(facts, tuple.snapshot), endpoints),
    });
    const mustProve = areAmong(endpoints, last) ? [] : keptHere;
    const mayChange = mustProve.every((tuple) => isVerified(facts, wayOf(tuple)));
    published.set(version, mayChange ? endpoints : last);
    if (mayChange) entered.push(...entering.filter((tuple) => isVerified(facts, wayOf(tuple))));
    for (const tuple of [...mustProve, ...entering]) {
      probes.push({ tuple: wayOf(tuple), service: tuple.service, endpoints });
    }
  }

  planProbes(facts, { kept, published, probes, epoch }, step);
  const next = buildTable(facts, { tuples: replaced(kept, entered), endpoints: published }, epoch);
  if (mustPublish(facts, next)) step.do({ kind: "publish", table: next.table, floors: next.floors });
  applyTable(facts, step);
  return step;
}

/** Each new tuple replaces its service's at the snapshot. */
function replaced(kept: readonly RouteTuple[], entered: readonly RouteTuple[]): readonly RouteTuple[] {
  const stays = (k: RouteTuple) => !entered.some((e) => e.snapshot === k.snapshot && e.service === k.service);
  return [...kept.filter(stays), ...entered];
}

interface Probes {
  readonly kept: readonly RouteTuple[];
  readonly published: ReadonlyMap<string, readonly VersionEndpoint[]>;
  readonly probes: readonly {
    readonly tuple: VerifiedTuple;
    readonly service: string;
    readonly endpoints: readonly VersionEndpoint[];
  }[];
  readonly epoch: bigint;
}

/** Each tuple is probed with a table of its own, so that one that does not answer holds up no other. */
function planProbes(facts: MeshFacts, all: Probes, step: PlanStepBuilder): void {
  for (const { tuple, service, endpoints } of all.probes) {
    if (isVerified(facts, tuple)) continue;
    if (facts.holders.length === 0) {
      step.wait(tuple.snapshot, `no gateway is there to verify ${tuple.version}`);
      continue;
    }
    const { snapshot, version } = tuple;
    const tuples = replaced(all.kept, [{ snapshot, service, version }]);
    const content = { tuples, endpoints: new Map([...all.published, [version, endpoints]]) };
    const { table } = buildTable(facts, content, all.epoch);
    for (const { name, status } of facts.holders) {
      if (status === undefined) step.wait(snapshot, `gateway ${name} holds a lease and is not reachable`);
      else if (!hasVerified(status.verified, tuple)) step.do({ kind: "verify", gateway: name, table, tuples: [tuple] });
    }
  }
}

function isVerified(facts: MeshFacts, tuple: VerifiedTuple): boolean {
  return (
    facts.holders.length > 0 &&
    facts.holders.every((gateway) => gateway.status !== undefined && hasVerified(gateway.status.verified, tuple))
  );
}

function hasVerified(verified: readonly VerifiedTuple[], tuple: VerifiedTuple): boolean {
  return verified.some((v) => v.snapshot === tuple.snapshot && v.version === tuple.version && v.way === tuple.way);
}

/** The seal that the table will name for the snapshot. */
function sealOf(facts: MeshFacts, snapshot: string): string {
  const record = facts.record(snapshot);
  return (record === undefined ? undefined : routedSeal(facts, record)) ?? "";
}

/** Above every table that any gateway has seen, even if the record of it was lost. */
function nextEpoch(facts: MeshFacts): bigint {
  const epochs = [facts.observed.table?.epoch ?? 0n, ...facts.observed.gateways.map((g) => g.status?.epoch ?? 0n)];
  return epochs.reduce((a, b) => (a > b ? a : b)) + 1n;
}

function mustPublish(facts: MeshFacts, next: BuiltTable): boolean {
  const last: RouteTable | undefined = facts.observed.table;
  if (last !== undefined) return !sameContent(last, next.table) || next.table.epoch > last.epoch + 1n;
  // Before anything serves, "not ready" is a better answer than "no such snapshot", unless nothing is wished for.
  return next.table.snapshots.length > 0 || facts.observed.snapshots.length === 0;
}

function applyTable(facts: MeshFacts, step: PlanStepBuilder): void {
  const { table, gateways } = facts.observed;
  if (table === undefined) return;
  for (const { name, status } of gateways) {
    if (status !== undefined && status.epoch < table.epoch) step.do({ kind: "apply", gateway: name, table });
  }
}
