import type { MeshFacts } from "./mesh-facts.ts";
import type { FrozenReplica } from "./observed-mesh.ts";
import { type PlanStep, type PlanStepBuilder, planStep } from "./plan-step.ts";
import { type Quarantine, quarantineText } from "./quarantine.ts";
import { shardCut } from "./shard-cut.ts";
import type { SnapshotRecord } from "./snapshot-record.ts";

interface Suspect extends FrozenReplica {
  readonly node: string;
}

/**
 * Which of several replicas that differ is right: the one that has what the log says. In this order:
 *
 *   sealed already           what the seal names is right
 *   three or more replicas   what more than half of them have is right
 *   otherwise                none is trusted: each works the shard out anew from the log, beside its store, and what all
 *                            of these come to is right; while they do not agree, nothing is sealed and a person is told
 *
 * One that differs is quarantined → unbound everywhere → built anew on an empty directory → frozen at that cut again →
 * readmitted when it agrees. Services that answer differently over equal data are told of, and nothing is done.
 */
export function planQuarantine(facts: MeshFacts): PlanStep {
  const step = planStep();
  for (const record of facts.observed.snapshots) {
    if (record.retiring || record.cut === undefined) continue;
    for (const shard of facts.manifest.mesh.placements.keys()) judge(facts, record, shard, step);
  }
  for (const quarantine of facts.observed.quarantined ?? []) rebuild(facts, quarantine, step);
  return step;
}

function judge(facts: MeshFacts, record: SnapshotRecord, shard: number, step: PlanStepBuilder): void {
  const replicas = suspectsOf(facts, record, shard);
  const isDoubted = wasAudited(facts, record, shard);
  if (new Set(replicas.map(({ stateDigest }) => stateDigest)).size + (isDoubted ? 1 : 0) < 2) {
    const sealed = facts.seal(record)?.stateDigests[shard];
    if (sealed === undefined || replicas.every(({ stateDigest }) => stateDigest === sealed)) return;
  }
  const expected = facts.seal(record)?.stateDigests[shard] ?? majority(replicas);
  const right = isDoubted || expected === undefined ? derived(facts, record, shard, replicas, step) : expected;
  if (right === undefined) return;
  for (const replica of replicas) {
    if (replica.stateDigest === right) continue;
    const { node, stateDigest } = replica;
    const tables = differentTables(facts, record, shard, replica, right);
    step.do({ kind: "quarantine", snapshot: record.id, shard, node, stateDigest, expected: right, tables });
  }
  if (isDoubted && replicas.every(({ stateDigest }) => stateDigest === right)) {
    step.wait(
      record.id,
      `replicas of shard ${shard} answer differently over equal data: ${auditText(facts, record, shard)}`,
    );
  }
}

function suspectsOf(facts: MeshFacts, record: SnapshotRecord, shard: number): readonly Suspect[] {
  return (facts.manifest.mesh.placements[shard] ?? []).flatMap((node) => {
    if (facts.isQuarantined(shard, node)) return [];
    const frozen = facts.shardOn(node, shard)?.frozen.find((replica) => replica.snapshot === record.id);
    return frozen === undefined ? [] : [{ ...frozen, node }];
  });
}

function majority(replicas: readonly Suspect[]): string | undefined {
  if (replicas.length < 3) return undefined;
  const votes = new Map<string, number>();
  for (const { stateDigest } of replicas) votes.set(stateDigest, (votes.get(stateDigest) ?? 0) + 1);
  return [...votes].find(([, count]) => count * 2 > replicas.length)?.[0];
}

/** What all replicas derive from the log; asks those that have not yet. */
function derived(
  facts: MeshFacts,
  record: SnapshotRecord,
  shard: number,
  replicas: readonly Suspect[],
  step: PlanStepBuilder,
): string | undefined {
  const cut = shardCut(facts.manifest.mesh, record.cut?.positions ?? [], shard);
  const found = new Map<string, string>();
  for (const { node } of replicas) {
    const here = facts.observed.derived?.find((d) => d.snapshot === record.id && d.shard === shard && d.node === node);
    if (here !== undefined) found.set(node, here.stateDigest);
    else {
      step.do({ kind: "rederive", snapshot: record.id, shard, node, cut });
      step.wait(record.id, `shard ${shard} is worked out anew from the log on ${node}, since its replicas differ`);
    }
  }
  if (found.size < replicas.length) return undefined;
  const digests = new Set(found.values());
  if (digests.size === 1) return [...digests][0];
  const who = [...found].map(([node, digest]) => `${node} ${digest}`).join(", ");
  step.wait(record.id, `shard ${shard} comes to different states from one log (${who}): nobody can say which is right`);
  return undefined;
}

/** Compared with whoever has the right digest, a replica or the log. */
function differentTables(
  facts: MeshFacts,
  record: SnapshotRecord,
  shard: number,
  replica: Suspect,
  right: string,
): readonly string[] {
  const better =
    suspectsOf(facts, record, shard).find(({ stateDigest, tables }) => stateDigest === right && tables !== undefined) ??
    facts.observed.derived?.find((d) => d.snapshot === record.id && d.shard === shard && d.stateDigest === right);
  return (replica.tables ?? [])
    .filter(({ table, digest }) => better?.tables?.find((t) => t.table === table)?.digest !== digest)
    .map(({ table }) => table)
    .filter(() => better !== undefined);
}

function wasAudited(facts: MeshFacts, record: SnapshotRecord, shard: number): boolean {
  return facts.differences.some((found) => found.shard === shard && found.snapshot === record.id);
}

function auditText(facts: MeshFacts, record: SnapshotRecord, shard: number): string {
  const found = facts.differences.filter((d) => d.shard === shard && d.snapshot === record.id);
  return found.map(({ version, nodes }) => `${version} on ${nodes.join(" and ")}`).join(", ");
}

function rebuild(facts: MeshFacts, quarantine: Quarantine, step: PlanStepBuilder): void {
  const { shard, node, snapshot, expected, rebuilt, sinceMs } = quarantine;
  const status = facts.shardOn(node, shard);
  step.wait(undefined, quarantineText(quarantine));
  if (facts.manifest.mesh.placements[shard]?.includes(node) !== true) {
    step.do({ kind: "readmit", shard, node });
    return;
  }
  if (status === undefined) return;
  if (!rebuilt) {
    if (facts.holds(node, shard)) return;
    const isDivergent = (replica: FrozenReplica) => {
      const record = facts.record(replica.snapshot);
      const sealed = record === undefined ? undefined : facts.seal(record)?.stateDigests[shard];
      return sealed === undefined || sealed !== replica.stateDigest;
    };
    const divergent = status.frozen.filter(isDivergent).map((replica) => replica.snapshot);
    step.do({ kind: "rebuild", shard, node, divergent });
    return;
  }
  const agrees = status.frozen.some((replica) => {
    if (replica.snapshot === snapshot) return replica.stateDigest === expected;
    const record = facts.record(replica.snapshot);
    if (record?.cut === undefined || record.cut.fixedAtMs <= sinceMs) return false;
    return facts.seal(record)?.stateDigests[shard] === replica.stateDigest;
  });
  if (agrees) step.do({ kind: "readmit", shard, node });
  else if (status.frozen.some((replica) => replica.snapshot === snapshot)) {
    step.wait(undefined, `shard ${shard} on ${node} differs again after it was built anew: a person must look`);
  }
}
