import assert from "node:assert";
import { cutOf, type Position } from "../mesh/cut.ts";
import type { TopicSpec } from "../mesh/table-spec.ts";
import type { FixedCut } from "./snapshot-record.ts";

/** What the log says of a topic at one moment. */
export interface TopicReading {
  readonly topic: string;
  readonly topicId: string;
  readonly partitions: readonly PartitionReading[];
}

export interface PartitionReading {
  /** The first offset that is not durable yet. */
  readonly bound: bigint;
  /** First offset at or after the time asked for; `undefined`: not passed. Only read where a time is asked for. */
  readonly atTime: bigint | undefined;
}

export interface CutRequest {
  readonly asOfMs: number | undefined;
  readonly allowInexactAsOf: boolean;
  readonly nowMs: number;
}

export type CutDecision =
  | { readonly kind: "fixed"; readonly cut: FixedCut }
  /** Ask again later. */
  | { readonly kind: "not-yet"; readonly reason: string }
  /** Asking again will not help. */
  | { readonly kind: "refused"; readonly reason: string };

/**
 * Where a snapshot ends in each partition. Without a time: at the end of all that is durable. As of a time T: before the
 * first record at or after T, which is a promise only where timestamps never decrease, and only once every partition
 * has passed T; topics without a time of their own are taken whole.
 */
export function fixCut(
  topics: readonly TopicSpec[],
  readings: readonly TopicReading[],
  { asOfMs, allowInexactAsOf, nowMs }: CutRequest,
): CutDecision {
  const positions: Position[] = [];
  const inexactTopics: string[] = [];
  const waiting: string[] = [];
  for (const { name: topic, timestamps } of topics) {
    const reading = readings.find((r) => r.topic === topic);
    assert(reading !== undefined, `fix cut: topic ${topic} was not read`);
    const hasTime = asOfMs !== undefined && timestamps !== "None";
    if (hasTime && timestamps === "Unordered") {
      if (!allowInexactAsOf) {
        return { kind: "refused", reason: `timestamps of topic ${topic} are Unordered; allowInexactAsOf accepts that` };
      }
      inexactTopics.push(topic);
    }
    for (const [partition, { bound, atTime }] of reading.partitions.entries()) {
      const position = hasTime ? atTime : bound;
      if (position === undefined) waiting.push(`${topic}/${partition}`);
      else positions.push({ topic, topicId: reading.topicId, partition, position });
    }
  }
  if (waiting.length > 0) {
    const time = new Date(asOfMs ?? nowMs).toISOString();
    const more = waiting.length > 8 ? ` and ${waiting.length - 8} more` : "";
    return {
      kind: "not-yet",
      reason: `${waiting.slice(0, 8).join(", ")}${more} has no record at or after ${time} yet`,
    };
  }
  return { kind: "fixed", cut: { positions: cutOf(positions), fixedAtMs: nowMs, inexactTopics } };
}
