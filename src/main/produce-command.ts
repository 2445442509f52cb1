import { type Command, Option } from "commander";
import { EXIT_CODE } from "../process/exit-code.ts";
import { absolute, dataDirOption, parseCount, parseInstant } from "./options.ts";
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
        "value is a JSON object; its partition is chosen as Kafka's default partitioner does, by the key.",
    )
    .argument("<topic>", "the topic; it is made when it is not there")
    .argument("<file>", "the file to load")
    .addOption(dataDirOption())
    .addOption(new Option("-m, --manifest <file>", "the mesh whose log it is; otherwise that of the data directory"))
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
  const [{ openMeshLog }, { produceFile }, { dataDirectory }, { systemClock }] = await Promise.all([
    import("../log/open-log.ts"),
    import("../produce/produce-file.ts"),
    import("../up/control/data-directory.ts"),
    import("../process/clock.ts"),
  ]);
  const manifest = await manifestOf(options);
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => stop.abort(new DOMException(signal, "AbortError")));
  }
  const { log, openWriter } = await openMeshLog(manifest?.mesh.log, {
    embeddedDirectory: dataDirectory(absolute(options.dataDir)).log,
    manifestDirectory: manifest?.directory ?? process.cwd(),
    environment: process.env,
    clock: systemClock,
  });
  const writer = await openWriter();
  const bar = progressLine({
    name: `load ${topic}`,
    clock: systemClock,
    isTerminal: process.stderr.isTTY,
    write: (text) => void process.stderr.write(text),
  });
  try {
    const declared = manifest?.mesh.topics.find(({ name }) => name === topic)?.partitions;
    const partitions = options.partitions ?? (await partitionsOf(log, topic)) ?? declared ?? 1;
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
    });
    for await (const progress of load) bar.show(progress);
    bar.done();
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    process.stderr.write("\nstopped; --resume goes on from here\n");
    process.exitCode = EXIT_CODE.interrupted;
  } finally {
    await writer.close();
    await log.close();
  }
}

async function manifestOf({ manifest }: ProduceOptions) {
  if (manifest === undefined) return undefined;
  const { loadManifestWithoutSeeds } = await import("../manifest/load-manifest.ts");
  return loadManifestWithoutSeeds(manifest);
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
