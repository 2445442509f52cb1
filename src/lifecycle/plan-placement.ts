import type { MeshFacts } from "./mesh-facts.ts";
import type { Placement } from "./placement.ts";
import { type PlanStep, planStep } from "./plan-step.ts";
import { tuplesOf } from "./route-tuple.ts";
import { endpointsIn } from "./version-endpoints.ts";

/**
 * The moves of shards: host → (ingest, freeze, bind, verify, publish as for any placement) → release the one that leaves →
 * (out of the table, drained, unbound) → remove. Make before break: what leaves is let go when all that joins is in the
 * table with everything that the table names, and every gateway with a lease has that table.
 */
export function planPlacement(facts: MeshFacts): PlanStep {
  const step = planStep();
  for (const [shard, nodes] of facts.manifest.mesh.placements.entries()) {
    for (const node of nodes) {
      if (facts.isUp(node) && facts.shardOn(node, shard) === undefined) step.do({ kind: "host", shard, node });
    }
  }
  for (const placement of facts.observed.placements ?? []) {
    const { shard, node, phase } = placement;
    if (phase === "Leaving") {
      const missing = whatIsMissing(facts, placement);
      if (missing === undefined) step.do({ kind: "release", shard, node });
      else step.wait(undefined, `shard ${shard} stays on ${node}: ${missing}`);
    } else if (phase === "Removing") {
      if (!facts.isUp(node)) step.wait(undefined, `shard ${shard} is to be removed from ${node}, which is down`);
      else if (facts.holds(node, shard)) step.wait(undefined, `shard ${shard} on ${node} is still bound`);
      else step.do({ kind: "remove", shard, node });
    }
  }
  return step;
}

/** Why a placement cannot be done without yet. */
function whatIsMissing(facts: MeshFacts, { shard }: Placement): string | undefined {
  const { table, placements } = facts.observed;
  const isStaying = (p: Placement) => p.shard === shard && (p.phase === "Placed" || p.phase === "Joining");
  const staying = (placements ?? []).filter(isStaying);
  const waitsFor = staying.map(({ node, phase }) => ({ node, phase, lacks: lacking(facts, shard, node) }));
  const late = waitsFor.find(({ phase, lacks }) => phase === "Joining" && lacks !== undefined);
  if (late !== undefined) return late.lacks;
  if (!waitsFor.some(({ lacks }) => lacks === undefined)) return waitsFor[0]?.lacks ?? "nothing takes its place";
  const behind = facts.holders.find(({ status }) => status?.epoch !== (table?.epoch ?? 0n));
  return behind === undefined ? undefined : `gateway ${behind.name} does not have the table yet`;
}

/** What the table names and the node does not serve of a shard. */
function lacking(facts: MeshFacts, shard: number, node: string): string | undefined {
  const { table } = facts.observed;
  if (facts.shardOn(node, shard) === undefined) return `${node} does not hold the shard yet`;
  for (const { snapshot, version } of tuplesOf(table)) {
    const record = facts.record(snapshot);
    // What is being retired is not bound anywhere anew.
    if (record === undefined || record.retiring) continue;
    if (!facts.isBound(record, version, shard, node)) return `${node} has not bound ${snapshot} with ${version} yet`;
    const address = facts.service(version, node)?.address;
    const isRouted = endpointsIn(table, version).some(
      (e) => e.shard === shard && e.node === node && e.address === address,
    );
    if (!isRouted) return `no route leads to ${version} on ${node} yet`;
  }
  return undefined;
}
