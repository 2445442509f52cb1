import { Fault } from "../../fault/fault.ts";
import { sleep } from "../../process/clock.ts";
import type { NewTopic, TopicDescription } from "../log.ts";
import type { KafkaCluster, KafkaTopic } from "./kafka-cluster.ts";
import { codeOf, faultOfCode, KAFKA_ERROR } from "./kafka-fault.ts";

const CREATE_MS = 15_000;
const LOOK_AGAIN_MS = 25;
const ALL_PARTITIONS_WITHIN_MS = 15_000;

/**
 * Creates the topic, or finds the one that is there, and returns when every partition has a leader. A topic of ours keeps
 * its records for ever, whatever the broker's default: retention goes by their timestamps, and a load of old data would
 * be gone within minutes. Replicas are as many as the broker makes by default.
 */
export async function createKafkaTopic(
  cluster: KafkaCluster,
  { name, partitions, how }: { readonly name: string; readonly partitions: number; readonly how: NewTopic },
): Promise<TopicDescription> {
  const attempted = `create topic "${name}" of ${partitions} partitions`;
  if (!(await exists(cluster, name, attempted))) await create(cluster, { name, partitions, how, attempted });
  const topic = await whole(cluster, name, attempted);
  if (topic.partitions !== partitions) {
    throw new Fault("invalid-request", `${attempted}: it exists with ${topic.partitions}`);
  }
  return { name, id: topic.id, partitions };
}

async function exists(cluster: KafkaCluster, name: string, attempted: string): Promise<boolean> {
  try {
    await cluster.refresh(name, attempted);
    return true;
  } catch (error) {
    if (error instanceof Fault && error.id === "unknown-topic") return false;
    throw error;
  }
}

async function create(
  cluster: KafkaCluster,
  topic: { readonly name: string; readonly partitions: number; readonly how: NewTopic; readonly attempted: string },
): Promise<void> {
  const { name, partitions, how, attempted } = topic;
  const configs = [
    { name: "cleanup.policy", value: "delete" },
    { name: "retention.ms", value: "-1" },
    { name: "retention.bytes", value: "-1" },
    { name: "message.timestamp.type", value: how.timestamps === "log" ? "LogAppendTime" : "CreateTime" },
  ];
  const wanted = { name, numPartitions: partitions, replicationFactor: -1, assignments: [], configs };
  const bounds = { attempted, ms: 2 * CREATE_MS };
  const code = await cluster.connections.useAny(bounds, async ({ connection, apis }) => {
    try {
      await apis.createTopics.async(connection, [wanted], CREATE_MS, false);
      return KAFKA_ERROR.none;
    } catch (error) {
      const refused = codeOf(error);
      if (refused === undefined) throw error;
      return refused;
    }
  });
  if (code !== KAFKA_ERROR.none && code !== KAFKA_ERROR.topicAlreadyExists) throw faultOfCode(code, attempted);
}

/** Brokers hear of a new topic one after the other, and a partition has a leader a little later. */
async function whole(cluster: KafkaCluster, name: string, attempted: string): Promise<KafkaTopic> {
  const { clock } = cluster;
  const until = clock.monotonic() + ALL_PARTITIONS_WITHIN_MS;
  for (;;) {
    try {
      const topic = await cluster.refresh(name, attempted);
      if (topic.leaders.every((leader) => leader !== undefined)) return topic;
    } catch (error) {
      const isKnownLater = error instanceof Fault && (error.id === "unknown-topic" || error.retryable);
      if (!isKnownLater || clock.monotonic() >= until) throw error;
    }
    if (clock.monotonic() >= until)
      throw new Fault("log-unavailable", `${attempted}: not every partition has a leader`);
    await sleep(clock, LOOK_AGAIN_MS);
  }
}
