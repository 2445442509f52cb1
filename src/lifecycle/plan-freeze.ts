import { type Cut, cutContains, cutText } from "../mesh/cut.ts";
import type { Replica } from "./action.ts";
import { type MeshFacts, sameCut } from "./mesh-facts.ts";
import { type PlanStep, type PlanStepBuilder, planStep } from "./plan-step.ts";
import { shardCut } from "./shard-cut.ts";
import type { SnapshotRecord } from "./snapshot-record.ts";

/** cut → freeze → seal: from a wish to a durable, named state of all shards. */
export function planFreeze(facts: MeshFacts): PlanStep {
  const step = planStep();
  tellAlarms(facts, step);
  for (const record of facts.observed.snapshots) {
    if (record.retiring) continue;
    const inArchive = facts.observed.seals.find((seal) => seal.snapshot === record.id);
    if (record.cut === undefined) {
      if (inArchive === undefined) {
        step.do({ kind: "cut", snapshot: record.id, asOfMs: record.asOfMs });
      } else {
        const { cut, fixedAtMs, inexactTopics } = inArchive;
        step.do({ kind: "adopt", snapshot: record.id, cut: { positions: cut, fixedAtMs, inexactTopics } });
      }
      continue;
    }
    if (inArchive !== undefined && !sameCut(inArchive.cut, record.cut.positions)) {
      step.wait(record.id, "the archive holds another snapshot under this id: retire this one and choose another id");
      continue;
    }
    const isWhole = freezeShards(facts, record, step);
    if (inArchive === undefined && isWhole) sealShards(facts, record, step);
  }
  return step;
}

/** Also while no snapshot waits for the shard: the next one will. */
function tellAlarms(facts: MeshFacts, step: PlanStepBuilder): void {
  for (const { name, status } of facts.observed.nodes) {
    if (status.kind !== "up") continue;
    for (const { shard, alarm, archiveAlarm } of status.shards) {
      if (archiveAlarm !== undefined) step.wait(undefined, `shard ${shard} on ${name}: ${archiveAlarm}`);
      if (alarm !== undefined) step.wait(undefined, `shard ${shard} on ${name}: ${alarm}`);
    }
  }
}

/** Says whether all shards are frozen wherever they will be soon. */
function freezeShards(facts: MeshFacts, record: SnapshotRecord, step: PlanStepBuilder): boolean {
  const { mesh } = facts.manifest;
  const sealed = facts.seal(record)?.stateDigests;
  let isWhole = true;
  for (const [shard, nodes] of mesh.placements.entries()) {
    const cut = shardCut(mesh, record.cut?.positions ?? [], shard);
    let frozenReplicas = 0;
    for (const node of nodes) {
      // One that is being built anew is frozen again and looked at; nobody waits for it.
      if (facts.isQuarantined(shard, node)) {
        freezeAgain(facts, record, { shard, node, cut }, step);
        continue;
      }
      const status = facts.shardOn(node, shard);
      const frozen = status?.frozen.find((replica) => replica.snapshot === record.id);
      const where = `shard ${shard} on ${node}`;
      if (frozen !== undefined) {
        frozenReplicas += 1;
        if (sealed !== undefined && frozen.stateDigest !== sealed[shard]) {
          step.wait(record.id, `${where} froze other data than was sealed (${frozen.stateDigest}): it is not used`);
        }
      } else if (status === undefined) {
        step.wait(record.id, facts.isUp(node) ? `${where} is not open yet` : `${where}: the node is down`);
      } else if (!cutContains(cut, status.horizon)) {
        step.wait(record.id, `${where} can no longer freeze ${cutText(cut)}: below its horizon`);
      } else if (!cutContains(status.position, cut)) {
        step.wait(
          record.id,
          `${where} is at ${cutText(status.position)}, the cut at ${cutText(cut)}${stopped(status)}`,
        );
        // One that has stopped is not waited for.
        if (status.alarm === undefined) isWhole = false;
      } else {
        step.do({ kind: "freeze", snapshot: record.id, shard, node, cut });
        isWhole = false;
      }
    }
    if (frozenReplicas === 0) isWhole = false;
  }
  return isWhole;
}

function freezeAgain(
  facts: MeshFacts,
  record: SnapshotRecord,
  { shard, node, cut }: { readonly shard: number; readonly node: string; readonly cut: Cut },
  step: PlanStepBuilder,
): void {
  const isRebuilt = facts.observed.quarantined?.some((q) => q.shard === shard && q.node === node && q.rebuilt);
  const status = facts.shardOn(node, shard);
  if (!isRebuilt || status === undefined || status.frozen.some(({ snapshot }) => snapshot === record.id)) return;
  if (!cutContains(status.position, cut) || !cutContains(cut, status.horizon)) return;
  step.do({ kind: "freeze", snapshot: record.id, shard, node, cut });
}

function stopped(status: { readonly alarm: string | undefined }): string {
  return status.alarm === undefined ? "" : `; ingest has stopped: ${status.alarm}`;
}

/** A seal is published when every shard is durable and all replicas of each, but those in quarantine, hold the same. */
function sealShards(facts: MeshFacts, record: SnapshotRecord, step: PlanStepBuilder): void {
  const replicas: Replica[] = [];
  for (const [shard, nodes] of facts.manifest.mesh.placements.entries()) {
    const here = nodes.flatMap((node) => {
      if (facts.isQuarantined(shard, node)) return [];
      const frozen = facts.shardOn(node, shard)?.frozen.find((replica) => replica.snapshot === record.id);
      return frozen === undefined ? [] : [{ ...frozen, shard, node }];
    });
    const digests = new Set(here.map((replica) => replica.stateDigest));
    if (digests.size > 1) {
      const who = here.map((replica) => `${replica.node} ${replica.stateDigest}`).join(", ");
      step.wait(record.id, `replicas of shard ${shard} differ (${who}): the snapshot is not sealed`);
      return;
    }
    for (const { node, stateDigest, manifestSha256 } of here)
      replicas.push({ shard, node, stateDigest, manifestSha256 });
  }
  if (record.cut !== undefined) step.do({ kind: "seal", snapshot: record.id, cut: record.cut, replicas });
}
