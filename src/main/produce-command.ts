import type { Command } from "commander";
import type { TableSpec, TopicSpec } from "../mesh/table-spec.ts";
import { EXIT_CODE } from "../process/exit-code.ts";
import { absolute, dataDirOption, logManifestOption, parseCount, parseInstant } from "./options.ts";
import { progressLine } from "./progress-line.ts";

interface ProduceOptions {
  readonly manifest?: string;
  readonly dataDir: string;
  readonly format?: string;
  readonly partitions?: number;
  readonly key?: readonly string[];
  readonly timestamp?: string;
  readonly fixedTimestamp?: number;
  readonly limit?: number;
  readonly resume?: true;
}

export function addProduceCommand(program: Command): void {
  program
    .command("produce")
    .summary("load a file into a topic of the log")
    .description(
      "Loads a CSV, TSV, JSON lines or Parquet file into a topic of the log. Each row becomes a record whose\n" +
        "value is a JSON object, or what the manifest says of the topic (Avro, Protobuf); its partition is chosen\n" +
        "as Kafka's default partitioner does, by the key.",
    )
    .argument("<topic>", "the topic; it is made when it is not there")
    .argument("<file>", "the file to load")
    .addOption(dataDirOption())
    .addOption(logManifestOption())
    .option("--format <format>", "csv, tsv, jsonl or parquet; otherwise the extension tells")
    .option("--partitions <n>", "of a new topic (default 1); of one that is there, it must agree", parseCount)
    .option("--key <column...>", "columns of the record's key")
    .option("--timestamp <column>", "column of the record's time; otherwise the time of loading")
    .option("--fixed-timestamp <time>", "one time for all records", parseInstant)
    .option("--limit <rows>", "the first rows only", parseCount)
    .option("--resume", "go on where an earlier load of the same file ended")
    .addHelpText(
      "after",
      "\nExamples:\n" +
        "  $ skynetes produce flights flights.parquet --partitions 4 --key origin --timestamp date\n" +
        "  $ skynetes produce airports airports.csv --key iata --resume\n" +
        "  $ skynetes produce flights more.jsonl --key origin --manifest examples/flights/mesh-kafka.yaml",
    )
    .action(produce);
}

async function produce(topic: string, file: string, options: ProduceOptions): Promise<void> {
  const [{ openLogOf }, { produceFile }, { systemClock }] = await Promise.all([
    import("./log-of-mesh.ts"),
    import("../produce/produce-file.ts"),
    import("../process/clock.ts"),
  ]);
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => stop.abort(new DOMException(signal, "AbortError")));
  }
  const { manifest, log, writer, close } = await openLogOf(options);
  const bar = progressLine({
    name: `load ${topic}`,
    clock: systemClock,
    isTerminal: process.stderr.isTTY,
    write: (text) => void process.stderr.write(text),
  });
  try {
    const declared = manifest?.mesh.topics.find(({ name }) => name === topic);
    const partitions = options.partitions ?? (await partitionsOf(log, topic)) ?? declared?.partitions ?? 1;
    const encode = declared === undefined ? undefined : await encoderOf(declared, manifest?.mesh.tables ?? []);
    const load = produceFile({
      writer,
      log,
      clock: systemClock,
      signal: stop.signal,
      file: absolute(file),
      topic,
      partitions,
      ...(options.format === undefined ? {} : { format: options.format }),
      ...(options.key === undefined ? {} : { keyColumns: options.key }),
      ...(options.timestamp === undefined ? {} : { timestampColumn: options.timestamp }),
      ...(options.fixedTimestamp === undefined ? {} : { fixedTimestampMs: options.fixedTimestamp }),
      ...(options.limit === undefined ? {} : { limit: options.limit }),
      ...(options.resume === undefined ? {} : { resume: true }),
      ...(encode === undefined ? {} : { encode }),
    });
    for await (const progress of load) bar.show(progress);
    bar.done();
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    process.stderr.write("\nstopped; --resume goes on from here\n");
    process.exitCode = EXIT_CODE.interrupted;
  } finally {
    await close();
  }
}

/** As the manifest says that the topic's records are read; a topic that no table is made of is JSON. */
async function encoderOf(topic: TopicSpec, tables: readonly TableSpec[]) {
  const table = tables.find((spec) => spec.topic === topic.name);
  if (table === undefined) return undefined;
  const { valueEncoder } = await import("../row-format/record-format.ts");
  return valueEncoder(topic, table.columns);
}

async function partitionsOf(
  log: { describeTopic(topic: string): Promise<{ readonly partitions: number }> },
  topic: string,
): Promise<number | undefined> {
  const { Fault } = await import("../fault/fault.ts");
  try {
    return (await log.describeTopic(topic)).partitions;
  } catch (error) {
    if (error instanceof Fault && error.id === "unknown-topic") return undefined;
    throw error;
  }
}
