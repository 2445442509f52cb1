import { Fault } from "../../fault/fault.ts";
import { fixCut, type TopicReading } from "../../lifecycle/fix-cut.ts";
import type { FixedCut } from "../../lifecycle/snapshot-record.ts";
import type { Log } from "../../log/log.ts";
import { type Cut, positionIn } from "../../mesh/cut.ts";
import type { TopicSpec } from "../../mesh/table-spec.ts";

export interface CutWish {
  readonly snapshot: string;
  readonly asOfMs: number | undefined;
  readonly allowInexactAsOf: boolean;
  /** What nodes are known to hold. A log that ends before it has lost records, or does not know its own end. */
  readonly committed: Cut;
}

/**
 * Reads the log and fixes the cut. Faults: `cut-not-reached`, `invalid-request`, `log-truncated` (it ends before what a
 * node has committed), and those of the log.
 */
export async function cutFromLog(
  log: Log,
  topics: readonly TopicSpec[],
  { snapshot, asOfMs, allowInexactAsOf, committed }: CutWish,
  nowMs: number,
): Promise<FixedCut> {
  const readings = await Promise.all(topics.map((topic) => readTopic(log, topic, asOfMs)));
  for (const reading of readings) checkEnd(snapshot, reading, committed);
  const decision = fixCut(topics, readings, { asOfMs, allowInexactAsOf, nowMs });
  switch (decision.kind) {
    case "fixed":
      return decision.cut;
    case "not-yet":
      throw new Fault("cut-not-reached", `cut snapshot "${snapshot}": ${decision.reason}`);
    case "refused":
      throw new Fault("invalid-request", `cut snapshot "${snapshot}": ${decision.reason}`);
    default:
      return decision satisfies never;
  }
}

function checkEnd(snapshot: string, { topic, topicId, partitions }: TopicReading, committed: Cut): void {
  for (const [partition, { bound }] of partitions.entries()) {
    const held = positionIn(committed, topic, partition);
    if (held === undefined || held.topicId !== topicId || held.position <= bound) continue;
    throw new Fault(
      "log-truncated",
      `cut snapshot "${snapshot}": ${topic}/${partition} ends at ${bound} in the log, and a node holds it to ${held.position}`,
    );
  }
}

async function readTopic(log: Log, topic: TopicSpec, asOfMs: number | undefined): Promise<TopicReading> {
  const { id: topicId, partitions } = await log.describeTopic(topic.name);
  if (partitions !== topic.partitions) {
    throw new Fault(
      "invalid-manifest",
      `cut topic ${topic.name}: it has ${partitions} partitions, the manifest says ${topic.partitions}: ` +
        "records of the others are in no shard",
    );
  }
  const atTime =
    asOfMs === undefined || topic.timestamps === "None" ? [] : await log.offsetsForTime(topic.name, asOfMs);
  const read = async (_: unknown, partition: number) => {
    const { bound } = await log.bounds(topic.name, partition);
    return { bound, atTime: atTime[partition] };
  };
  return { topic: topic.name, topicId, partitions: await Promise.all(Array.from({ length: partitions }, read)) };
}
