import { join } from "node:path";
import { Fault } from "../../fault/fault.ts";

/**
 *   <log>/.writer/7.lock
 *   <log>/<topic>/topic.json
 *   <log>/<topic>/<partition>/bound
 *   <log>/<topic>/<partition>/00000000000000000000.log     named by the offset of its first record
 */
export const LOCK_DIRECTORY = ".writer";
export const TOPIC_FILE = "topic.json";
export const BOUND_FILE = "bound";
/** A topic is made under such a name and renamed when it is whole. No topic's name begins with a dot. */
export const CREATING_PREFIX = ".creating-";

// Kafka's rule, but for the leading dot: no name can leave the log's directory or meet one of its own files.
const TOPIC_NAME = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,248}$/;

export function isTopicName(topic: string): boolean {
  return TOPIC_NAME.test(topic);
}

/** Fault `invalid-request`. */
export function checkTopicName(topic: string): string {
  if (isTopicName(topic)) return topic;
  throw new Fault(
    "invalid-request",
    `topic ${JSON.stringify(topic)}: a name is 1 to 249 of letters, digits, ".", "_", "-"`,
  );
}

export function partitionDirectory(directory: string, topic: string, partition: number): string {
  return join(directory, topic, String(partition));
}

export function segmentName(baseOffset: bigint): string {
  return `${String(baseOffset).padStart(20, "0")}.log`;
}

/** The base offsets of the segments among `names`, ascending. */
export function segmentOffsets(names: readonly string[]): bigint[] {
  return names
    .filter((name) => /^\d{20}\.log$/.test(name))
    .sort()
    .map((name) => BigInt(name.slice(0, 20)));
}
