import type { MeshFacts } from "./mesh-facts.ts";
import { type PlanStep, type PlanStepBuilder, planStep } from "./plan-step.ts";
import { hasTuple, keptTuples, type RouteTuple, tuplesOf, wishedTuples } from "./route-tuple.ts";
import { userOf } from "./snapshot-user.ts";
import { endpointsIn } from "./version-endpoints.ts";

/**
 * Binds what is wished for and what is still routed to, on every placement; unbinds the rest once nobody can use it.
 * A process that was restarted holds nothing and so gets everything again, while the table stays as it is.
 */
export function planBind(facts: MeshFacts): PlanStep {
  const step = planStep();
  const wanted = [...keptTuples(facts), ...facts.observed.snapshots.flatMap((record) => wishedTuples(facts, record))];
  const unique = wanted.filter(
    (tuple, i) => wanted.findIndex((t) => t.snapshot === tuple.snapshot && t.version === tuple.version) === i,
  );
  for (const tuple of unique) bindTuple(facts, tuple, step);
  for (const record of facts.observed.snapshots) {
    if (record.retiring) continue;
    for (const { service, version } of record.bindings) {
      if (hasTuple(wanted, record.id, version)) continue;
      step.wait(record.id, `${service} is bound to ${version}, which the manifest does not have for it`);
    }
  }
  unbindRest(facts, wanted, step);
  return step;
}

function bindTuple(facts: MeshFacts, tuple: RouteTuple, step: PlanStepBuilder): void {
  const record = facts.record(tuple.snapshot);
  if (record === undefined || facts.seal(record) === undefined) return;
  const { version } = tuple;
  for (const [shard, nodes] of facts.manifest.mesh.placements.entries()) {
    for (const node of nodes) {
      if (facts.isBound(record, version, shard, node) || facts.isQuarantined(shard, node)) continue;
      const service = facts.service(version, node);
      if (service === undefined) {
        step.wait(record.id, `${version} on ${node}: ${whyNot(facts, version, node)}`);
        continue;
      }
      const refusal = service.refused.find((r) => r.snapshot === record.id && r.shard === shard);
      if (refusal !== undefined)
        step.wait(record.id, `${version} on ${node} refused shard ${shard}: ${refusal.reason}`);
      const holdsOther = service.bound.some((s) => s.snapshot === record.id && s.shard === shard);
      const target = { snapshot: record.id, shard, node, version, address: service.address };
      // What it holds is not what was sealed, so no gateway takes an answer from it: nothing is lost by letting go.
      if (holdsOther) step.do({ kind: "unbind", ...target });
      else if (facts.mayBind(record, version, shard, node)) step.do({ kind: "bind", ...target });
    }
  }
}

function whyNot(facts: MeshFacts, version: string, node: string): string {
  const process = facts.observed.services.find((s) => s.version === version && s.node === node);
  if (process === undefined) return "no process";
  return process.status.kind === "down" ? process.status.reason : `the process serves ${process.status.service}`;
}

function unbindRest(facts: MeshFacts, wanted: readonly RouteTuple[], step: PlanStepBuilder): void {
  const routed = tuplesOf(facts.observed.table);
  for (const { version, node, status } of facts.observed.services) {
    if (status.kind !== "up") continue;
    for (const { snapshot, shard } of status.bound) {
      const isPlaced = facts.manifest.mesh.placements[shard]?.includes(node) === true;
      const mayStay = isPlaced && !facts.isQuarantined(shard, node);
      if (mayStay && hasTuple(wanted, snapshot, version)) continue;
      const isRoutedHere = endpointsIn(facts.observed.table, version).some(
        (e) => e.shard === shard && e.node === node && e.address === status.address,
      );
      if (hasTuple(routed, snapshot, version) && (mayStay || isRoutedHere)) continue;
      const user = userOf(facts, snapshot, version);
      if (user !== undefined) step.wait(snapshot, `${version}, shard ${shard} on ${node} stays bound: ${user}`);
      else step.do({ kind: "unbind", snapshot, shard, node, version, address: status.address });
    }
  }
}
