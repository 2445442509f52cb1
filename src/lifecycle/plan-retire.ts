import { type MeshFacts, sameCut } from "./mesh-facts.ts";
import { type PlanStep, type PlanStepBuilder, planStep } from "./plan-step.ts";
import type { RetireReason } from "./retirement.ts";
import { hasTuple, tuplesOf } from "./route-tuple.ts";
import type { SnapshotRecord } from "./snapshot-record.ts";
import { userOf } from "./snapshot-user.ts";

/** Time in which a retirement may be taken back, when the manifest names none. */
export const RETIRE_GRACE_MS = 10_000;

/**
 * retire: out of the table → acknowledged → nobody on it → unbound → a grace → doomed → dropped → no seal → forgotten.
 *
 * Until it is doomed all of its files are there, so the wish may be taken back; the mark is durable before the first of
 * them goes, and is set in the same store as the wish, so one comes before the other. Who may be on it is looked at anew
 * in each plan, before the mark and before each drop.
 */
export function planRetire(facts: MeshFacts): PlanStep {
  const step = planStep();
  for (const record of facts.observed.snapshots) {
    if (record.retiring) retireOne(facts, record, step);
  }
  for (const { id, why } of noLongerKept(facts)) step.do({ kind: "retire", snapshot: id, why });
  reportStrays(facts, step);
  return step;
}

function retireOne(facts: MeshFacts, record: SnapshotRecord, step: PlanStepBuilder): void {
  const { id } = record;
  if (tuplesOf(facts.observed.table).some((tuple) => tuple.snapshot === id)) {
    step.wait(id, "is still in the route table");
    return;
  }
  const user = userOf(facts, id);
  if (user !== undefined) {
    step.wait(id, user);
    return;
  }
  const holder = facts.observed.services.find(
    (s) => s.status.kind === "up" && s.status.bound.some((stamp) => stamp.snapshot === id),
  );
  if (holder !== undefined) {
    step.wait(id, `${holder.version} on ${holder.node} still holds it`);
    return;
  }

  // What is being made now would be left behind.
  const underWay = facts.observed.underWay?.find((action) => "snapshot" in action && action.snapshot === id);
  if (underWay !== undefined && underWay.kind !== "drop") {
    step.wait(id, `waits for the end of: ${underWay.kind}`);
    return;
  }

  if (!record.doomed) {
    const graceMs = facts.manifest.mesh.retireGraceMs ?? RETIRE_GRACE_MS;
    const endsMs = (record.retirement?.atMs ?? Number.NEGATIVE_INFINITY) + graceMs;
    if (facts.observed.nowMs < endsMs) {
      step.wait(id, `may be taken back until ${new Date(endsMs).toISOString()}`);
    } else {
      step.do({ kind: "doom", snapshot: id });
    }
    return;
  }

  let isGone = true;
  for (const node of facts.observed.nodes) {
    if (node.status.kind === "down") {
      step.wait(id, `${node.name} is down and may still hold it`);
      isGone = false;
    } else if (node.status.shards.some((shard) => shard.frozen.some((replica) => replica.snapshot === id))) {
      step.do({ kind: "drop", snapshot: id, node: node.name });
      isGone = false;
    }
  }
  const holding = facts.manifest.mesh.placements.flat();
  const unseen = holding.find((name) => !facts.observed.nodes.some((node) => node.name === name));
  if (unseen !== undefined) step.wait(id, `${unseen} was not seen yet and may still hold it`);
  if (!isGone || unseen !== undefined) return;
  const seal = facts.observed.seals.find((s) => s.snapshot === id);
  // A seal of another cut belongs to another snapshot, whose name this one took by mistake.
  const isOurs = seal !== undefined && (record.cut === undefined || sameCut(seal.cut, record.cut.positions));
  step.do(isOurs ? { kind: "delete-seal", snapshot: id } : { kind: "forget", snapshot: id });
}

/** Scheduled snapshots beyond the `keep` newest that serve, or older than `keepForMs`. What does not serve yet displaces nothing. */
function noLongerKept(facts: MeshFacts): readonly { readonly id: string; readonly why: RetireReason }[] {
  const { schedule } = facts.manifest.mesh;
  if (schedule === undefined) return [];
  const tuples = tuplesOf(facts.observed.table);
  const serving = facts.observed.snapshots
    .filter((r) => r.scheduled && !r.pinned && !r.retiring)
    .filter((r) => r.bindings.every((b) => hasTuple(tuples, r.id, b.version)))
    .sort((a, b) => b.createdAtMs - a.createdAtMs || (a.id < b.id ? 1 : -1));
  const latest = new Set((facts.observed.table?.latest ?? []).map((l) => l.snapshot));
  const { keep, keepForMs = Number.POSITIVE_INFINITY } = schedule;
  const isOld = (record: SnapshotRecord) => facts.observed.nowMs - record.createdAtMs > keepForMs;
  return serving.flatMap((record, newer) => {
    const why = newer >= keep ? "Keep" : isOld(record) ? "KeepFor" : undefined;
    return why === undefined || latest.has(record.id) ? [] : [{ id: record.id, why }];
  });
}

/**
 * Data that nobody wished for is shown, not deleted: the wish may have been lost, not the need. Except replicas of a
 * snapshot that was retired: a freeze may have ended after the node was asked. A seal stays even then, and what it
 * seals: it is there only when it was another snapshot's, whose name the retired one had taken by mistake.
 */
function reportStrays(facts: MeshFacts, step: PlanStepBuilder): void {
  const strays = new Map<string, Set<string>>();
  const add = (snapshot: string, where: string) => {
    if (facts.record(snapshot) === undefined) strays.set(snapshot, (strays.get(snapshot) ?? new Set()).add(where));
  };
  for (const { snapshot } of facts.observed.seals) add(snapshot, "the archive");
  for (const { name, status } of facts.observed.nodes) {
    if (status.kind !== "up") continue;
    for (const shard of status.shards) for (const { snapshot } of shard.frozen) add(snapshot, name);
  }
  for (const snapshot of [...strays.keys()].sort()) {
    const replicas = leftReplicas(facts, snapshot);
    for (const node of replicas) step.do({ kind: "drop", snapshot, node });
    if (replicas.length > 0) continue;
    const where = [...(strays.get(snapshot) ?? [])].sort().join(", ");
    step.wait(snapshot, `is in ${where}, and nobody wishes for it: create it again to adopt or retire it`);
  }
}

/** The nodes that hold something of a snapshot which was retired before, and which nobody uses. */
function leftReplicas(facts: MeshFacts, snapshot: string): readonly string[] {
  const { retired, seals, nodes, services, underWay } = facts.observed;
  const isHeld = services.some((s) => s.status.kind === "up" && s.status.bound.some((b) => b.snapshot === snapshot));
  const isBusy = underWay?.some((action) => "snapshot" in action && action.snapshot === snapshot) === true;
  if (!retired?.includes(snapshot) || isHeld || isBusy || seals.some((seal) => seal.snapshot === snapshot)) return [];
  return nodes.flatMap(({ name, status }) => {
    const frozen = status.kind === "up" ? status.shards.flatMap((shard) => shard.frozen) : [];
    return frozen.some((replica) => replica.snapshot === snapshot) ? [name] : [];
  });
}
