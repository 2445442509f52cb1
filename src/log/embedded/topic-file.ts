import { mkdir, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "../../fault/fault.ts";
import { syncDirectory, writeNewFile } from "../../process/durable-file.ts";
import type { TopicDescription } from "../log.ts";
import { encodeBound } from "./bound-file.ts";
import { BOUND_FILE, CREATING_PREFIX, segmentName, TOPIC_FILE } from "./log-paths.ts";

/** Partitions of one topic. Each costs a directory and, while it is written, an open file. */
export const PARTITIONS_MAX = 4096;

/** The topic as its file describes it; `undefined` when there is no such topic. Fault `log-corrupt`. */
export async function readTopic(directory: string, topic: string): Promise<TopicDescription | undefined> {
  const path = join(directory, topic, TOPIC_FILE);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw error;
  }
  return parseTopic(text, topic, path);
}

/** Makes the topic whole in a directory of its own and then names it, so that nobody ever sees half a topic. */
export async function createTopicFiles(directory: string, topic: TopicDescription): Promise<void> {
  const making = join(directory, `${CREATING_PREFIX}${topic.id}`);
  await mkdir(making);
  for (let partition = 0; partition < topic.partitions; partition++) {
    const path = join(making, String(partition));
    await mkdir(path);
    await writeNewFile(join(path, segmentName(0n)), "");
    await writeNewFile(join(path, BOUND_FILE), encodeBound({ start: 0n, bound: 0n }));
    await syncDirectory(path);
  }
  await writeNewFile(join(making, TOPIC_FILE), `${JSON.stringify({ version: 1, ...topic }, null, 2)}\n`);
  await syncDirectory(making);
  await rename(making, join(directory, topic.name));
  await syncDirectory(directory);
}

function parseTopic(text: string, topic: string, path: string): TopicDescription {
  let parsed: Partial<Record<string, unknown>>;
  try {
    parsed = JSON.parse(text) ?? {};
  } catch (error) {
    throw new Fault("log-corrupt", `read topic "${topic}": ${path} is not JSON`, {}, error);
  }
  const { version, name, id, partitions } = parsed;
  if (version !== 1)
    throw new Fault("log-corrupt", `read topic "${topic}": ${path} has format version ${version}, not 1`);
  if (name !== topic || typeof id !== "string" || !isPartitionCount(partitions)) {
    throw new Fault("log-corrupt", `read topic "${topic}": ${path} does not describe it`);
  }
  return { name: topic, id, partitions };
}

export function isPartitionCount(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= PARTITIONS_MAX;
}
