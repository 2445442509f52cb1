/**
 * `ingest [rows] [rounds]`: a real Kafka broker → the stores of one node, against the bare client that fetches the same
 * records and parses them as JSON. Rows are those of examples/flights, about 105 bytes, in four partitions.
 *
 * The broker runs on this machine and is not measured, though it takes its processor time from both sides. The sides take
 * turns, each in a process of its own per run: from the first connection, for the node from opening its empty stores, to
 * the last record parsed, or committed and synced. CPU is user and system of all threads of that process. Memory is
 * sampled every 100 ms: the peaks of its proportional and of its resident set.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { openKafkaLogWriter } from "../../src/log/kafka/kafka-log-writer.ts";
import { KafkaBroker } from "../../test/real/kafka/kafka-broker.ts";
import type { BenchReport } from "../bench.ts";
import { flight, type IngestOutcome, PARTITIONS, TOPIC } from "../harness/ingest/ingest-source.ts";
import { AskedProcess } from "../harness/process/asked-process.ts";
import { memoryOf } from "../harness/process/memory-use.ts";
import { medianRow, rounded } from "../harness/report/median.ts";

const SAMPLE_MS = 100;
const APPENDED_ROWS = 10_000;
const SIDES = { bare: "bare-client.ts", node: "node-agent.ts" } as const;
type Side = keyof typeof SIDES;

export async function run([rows = "1000000", rounds = "3"]: readonly string[]): Promise<BenchReport> {
  const rowsOfPartition = Math.ceil(Number(rows) / PARTITIONS);
  const broker = await KafkaBroker.start();
  const measured: ({ readonly side: Side } & Awaited<ReturnType<typeof measure>>)[] = [];
  try {
    await produce(broker, rowsOfPartition);
    for (let round = 0; round < Number(rounds); round++) {
      for (const side of ["bare", "node"] as const) {
        measured.push({ side, ...(await measure(side, broker, rowsOfPartition)) });
      }
    }
  } finally {
    await broker.close();
  }
  const sides = (["bare", "node"] as const).map((side) => medianRow(measured.filter((one) => one.side === side)));
  const share = sides[1]!.rowsPerSecond / sides[0]!.rowsPerSecond;
  const busy = loadavg()[0]!.toFixed(1);
  return {
    rows: [...measured, ...sides],
    notes: [
      `the last two rows are medians; node / bare: ${share.toFixed(2)}`,
      `load average of the machine at the end: ${busy}`,
    ],
  };
}

async function produce(broker: KafkaBroker, rowsOfPartition: number): Promise<void> {
  const writer = openKafkaLogWriter({ brokers: [broker.plain] });
  try {
    await writer.createTopic(TOPIC, PARTITIONS);
    for (let from = 0; from < rowsOfPartition; from += APPENDED_ROWS) {
      const count = Math.min(APPENDED_ROWS, rowsOfPartition - from);
      const records = Array.from({ length: count }, (_, i) => {
        return { timestampMs: from + i, key: null, value: Buffer.from(flight(from + i)), headers: [] };
      });
      for (let partition = 0; partition < PARTITIONS; partition++) await writer.append(TOPIC, partition, records);
    }
    await writer.flush();
  } finally {
    await writer.close();
  }
}

async function measure(side: Side, broker: KafkaBroker, rowsOfPartition: number) {
  const directory = mkdtempSync(join(tmpdir(), "skynetes-bench-ingest-"));
  const child = AskedProcess.fork(side, join(import.meta.dirname, "../harness/ingest", SIDES[side]));
  const peak = { pss: 0, rss: 0 };
  const sampler = setInterval(() => {
    const { pss, rss } = memoryOf(child.pid);
    peak.pss = Math.max(peak.pss, pss);
    peak.rss = Math.max(peak.rss, rss);
  }, SAMPLE_MS);
  try {
    const { rows, seconds, cpuSeconds } = await child.ask<IngestOutcome>(
      "ingest",
      broker.plain,
      rowsOfPartition,
      directory,
    );
    if (rows !== rowsOfPartition * PARTITIONS) throw new Error(`${side}: ${rows} rows`);
    return {
      rowsPerSecond: Math.round(rows / seconds),
      cpuMicrosPerRow: rounded((cpuSeconds * 1e6) / rows),
      peakPssMiB: Math.round(peak.pss / 1024),
      peakRssMiB: Math.round(peak.rss / 1024),
    };
  } finally {
    clearInterval(sampler);
    await child.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}
