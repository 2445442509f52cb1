import type { Manifest } from "../manifest/manifest.ts";
import type { Action } from "./action.ts";
import { type MeshFacts, meshFacts } from "./mesh-facts.ts";
import type { MeshPlan, Phase, PlannedPhase, Waiting } from "./mesh-plan.ts";
import type { ObservedMesh } from "./observed-mesh.ts";
import { planBind } from "./plan-bind.ts";
import { planFreeze } from "./plan-freeze.ts";
import { planPlacement } from "./plan-placement.ts";
import { planQuarantine } from "./plan-quarantine.ts";
import { planRetire } from "./plan-retire.ts";
import { planTable } from "./plan-table.ts";
import { hasTuple, isReady, tuplesOf, wishedTuples } from "./route-tuple.ts";
import { planSchedule } from "./schedule.ts";
import type { SnapshotRecord } from "./snapshot-record.ts";

/**
 * cut → freeze → seal → bind → verify → serve → retire.
 *
 * The plan is a function of what is wished (manifest and records) and what is seen, and remembers nothing: from any
 * state, after any crash, doing what it says and looking again leads to what is wished. A driver that does only part of
 * it, or some of it twice, is slower and not wrong.
 */
export function planMesh(manifest: Manifest, observed: ObservedMesh): MeshPlan {
  const facts = meshFacts(manifest, observed);
  const steps = [
    planPlacement(facts),
    planQuarantine(facts),
    planSchedule(facts),
    planFreeze(facts),
    planBind(facts),
    planTable(facts),
    planRetire(facts),
  ];
  const waiting = unique(steps.flatMap((step) => step.waiting));
  return {
    actions: compatible(
      steps.flatMap((step) => step.actions),
      observed.underWay ?? [],
    ),
    waiting,
    phases: observed.snapshots.map((record) => phaseOf(facts, record, waiting)),
  };
}

/**
 * All that is planned may run at once, in any order. So nothing is published in the moment of a quarantine, since it might
 * name what is kept from queries from then on; and no placement is let go in the moment of a publication, since that may
 * name what only this placement has.
 */
function compatible(actions: readonly Action[], underWay: readonly Action[]): readonly Action[] {
  const isQuarantining = actions.some(({ kind }) => kind === "quarantine");
  const isPublishing = [...actions, ...underWay].some(({ kind }) => kind === "publish");
  return actions.filter(({ kind }) => !(isQuarantining && kind === "publish") && !(isPublishing && kind === "release"));
}

function unique(waiting: readonly Waiting[]): readonly Waiting[] {
  const seen = new Set<string>();
  return waiting.filter(({ snapshot, reason }) => {
    const key = `${snapshot ?? ""}\n${reason}`;
    return !seen.has(key) && seen.add(key);
  });
}

function phaseOf(facts: MeshFacts, record: SnapshotRecord, waiting: readonly Waiting[]): PlannedPhase {
  const message = waiting.find(({ snapshot }) => snapshot === record.id)?.reason ?? "";
  return { snapshot: record.id, phase: phaseName(facts, record), message };
}

function phaseName(facts: MeshFacts, record: SnapshotRecord): Phase {
  if (record.retiring) return "Retiring";
  if (record.cut === undefined) return "Cutting";
  const tuples = tuplesOf(facts.observed.table);
  if (facts.seal(record) === undefined && !tuples.some((tuple) => tuple.snapshot === record.id)) {
    const isFrozen = facts.manifest.mesh.placements.every((nodes, shard) =>
      nodes.some((node) => facts.shardOn(node, shard)?.frozen.some((replica) => replica.snapshot === record.id)),
    );
    return isFrozen ? "Sealing" : "Freezing";
  }
  if (record.bindings.every((binding) => hasTuple(tuples, record.id, binding.version))) return "Serving";
  const wished = wishedTuples(facts, record);
  const isBound = wished.length === record.bindings.length && wished.every((t) => isReady(facts, record, t.version));
  return isBound ? "Verifying" : "Binding";
}
