/**
 * Before a mesh has data: checks its log, creates the manifest's topics and loads the seeds of those that are not complete. A load that
 * was cut short goes on where the log ends; the mark of completion is written after the log is durable.
 */

import { Fault } from "../../fault/fault.ts";
import type { LogWriter } from "../../log/log.ts";
import type { MeshLog } from "../../log/open-log.ts";
import type { Manifest, MeshTopic, SeedFormat, SeedSpec } from "../../manifest/manifest.ts";
import { seedPath } from "../../manifest/seed-path.ts";
import type { ColumnSpec } from "../../mesh/table-spec.ts";
import { type Clock, sleep } from "../../process/clock.ts";
import type { LineLog } from "../../process/log-line.ts";
import type { ProduceProgress } from "../../produce/produce-file.ts";
import { valueEncoder } from "../../row-format/record-format.ts";
import type { ControlStore } from "../control/control-store.ts";

const RETRY_MS = 1_000;

export interface SeedParts {
  readonly manifest: Manifest;
  readonly store: ControlStore;
  readonly meshLog: MeshLog;
  readonly clock: Clock;
  readonly report: LineLog;
  readonly onProgress: (topic: string, progress: ProduceProgress | "complete") => void;
}

export function unseededTopics(manifest: Manifest, store: ControlStore): readonly MeshTopic[] {
  return manifest.mesh.topics.filter((topic) => topic.seed !== undefined && !store.state.seeded.includes(topic.name));
}

/**
 * Before any node reads: checks the log and brings it to its true end, and makes sure that every topic is there, so that
 * nodes can read them while they fill. After a power cut, or when its writer was killed, the log may say that it ends
 * before records that nodes hold; they would stop, and a cut would lack them.
 */
export async function createTopics({ manifest, store, meshLog, report }: SeedParts): Promise<void> {
  const missing: MeshTopic[] = [];
  for (const topic of manifest.mesh.topics) {
    try {
      await meshLog.checkTopic(topic);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      if (error.id === "log-unavailable" && store.published.table !== undefined) {
        // What is frozen can be served without a log; nodes go on when it is back.
        return report.line("error", `check the log: ${error.message}`);
      }
      if (error.id !== "unknown-topic") throw error;
      missing.push(topic);
    }
  }
  const writer = await openedLog(meshLog, report, missing.length > 0);
  if (writer === undefined) return;
  try {
    for (const { name, partitions, timestamps } of missing) {
      await writer.createTopic(name, partitions, { timestamps: timestamps === "NonDecreasing" ? "log" : "records" });
    }
  } finally {
    await writer.close();
  }
}

/**
 * Opening a log for writing is what recovers it. `undefined` when nothing is to be written and it cannot be opened: whoever
 * writes now has recovered it, and a damaged one keeps nobody from what is frozen already.
 */
async function openedLog(meshLog: MeshLog, report: LineLog, isNeeded: boolean): Promise<LogWriter | undefined> {
  try {
    return await meshLog.openWriter((repair) => report.line("warn", `log: ${repair}`));
  } catch (error) {
    const id = error instanceof Fault ? error.id : undefined;
    if (isNeeded || (id !== "store-locked" && id !== "log-corrupt")) throw error;
    report.line(id === "store-locked" ? "info" : "error", `check the log: ${(error as Fault).message}`);
    return undefined;
  }
}

/** Loads what is not complete. A log that cannot be reached for now is waited for: the load goes on where the log ends. */
export async function seedTopics(parts: SeedParts, signal: AbortSignal): Promise<void> {
  for (;;) {
    try {
      return await loadSeeds(parts, signal);
    } catch (error) {
      if (!(error instanceof Fault) || error.id !== "log-unavailable") throw error;
      parts.report.line("warn", `load the seeds: ${error.message}; trying again in ${RETRY_MS} ms`);
      await sleep(parts.clock, RETRY_MS, signal);
    }
  }
}

async function loadSeeds(parts: SeedParts, signal: AbortSignal): Promise<void> {
  const topics = unseededTopics(parts.manifest, parts.store);
  if (topics.length === 0) return;
  // The database that reads files is loaded at a first start only.
  const { produceFile } = await import("../../produce/produce-file.ts");
  const writer = await parts.meshLog.openWriter();
  try {
    for (const topic of topics) {
      const { seed } = topic as MeshTopic & { seed: SeedSpec };
      const load = produceFile({
        writer,
        log: parts.meshLog.log,
        clock: parts.clock,
        signal,
        topic: topic.name,
        partitions: topic.partitions,
        file: seedPath(parts.manifest.directory, seed.file),
        format: FORMAT[seed.format],
        keyColumns: seed.key,
        encode: valueEncoder(topic, columnsOf(topic, parts.manifest)),
        ...timestampOf(seed),
        resume: true,
      });
      for await (const progress of load) {
        signal.throwIfAborted();
        parts.onProgress(topic.name, progress);
      }
      signal.throwIfAborted();
      parts.store.update((state) => ({ ...state, seeded: [...state.seeded, topic.name] }));
      parts.onProgress(topic.name, "complete");
    }
  } finally {
    await writer.close();
  }
}

function columnsOf({ name }: MeshTopic, { mesh }: Manifest): readonly ColumnSpec[] {
  return mesh.tables.find(({ topic }) => topic === name)?.columns ?? [];
}

const FORMAT: Record<SeedFormat, string> = { CSV: "csv", JSONLines: "jsonl", Parquet: "parquet" };

function timestampOf({ timestamp }: SeedSpec): { timestampColumn?: string; fixedTimestampMs?: number } {
  switch (timestamp.kind) {
    case "column":
      return { timestampColumn: timestamp.column };
    case "fixed":
      return { fixedTimestampMs: timestamp.timestampMs };
    case "now":
      return {};
    default:
      return timestamp satisfies never;
  }
}
