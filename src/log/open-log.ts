import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { Fault } from "../fault/fault.ts";
import type { KafkaLogSpec, SecretSource } from "../mesh/log-spec.ts";
import type { TopicSpec } from "../mesh/table-spec.ts";
import type { Clock } from "../process/clock.ts";
import type { KafkaConfig } from "./kafka/kafka-config.ts";
import type { Log, LogWriter } from "./log.ts";

/** The log of one mesh, whichever it is. Closing `log` is all there is to close, beside writers. */
export interface MeshLog {
  readonly log: Log;
  /** `onRepair` hears of bytes that were never acknowledged and are cut off. Faults: those of the log. */
  openWriter(onRepair?: (text: string) => void): Promise<LogWriter>;
  /**
   * Compares a topic with what the manifest says of it. Faults: `unknown-topic`; `invalid-manifest`, when it has another
   * number of partitions, or its times may go back where the manifest promises that they do not.
   */
  checkTopic(topic: TopicSpec): Promise<void>;
}

export interface LogPlace {
  readonly embeddedDirectory: string;
  /** Files that the specification names are relative to it. */
  readonly manifestDirectory: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
}

/** The only place that knows which logs there are; what is not used is not even loaded. */
export async function openMeshLog(spec: KafkaLogSpec | undefined, place: LogPlace): Promise<MeshLog> {
  return spec === undefined ? openEmbedded(place) : openKafka(await kafkaConfigOf(spec, place), place);
}

async function openEmbedded({ embeddedDirectory, clock }: LogPlace): Promise<MeshLog> {
  const { openEmbeddedLog } = await import("./embedded/embedded-log.ts");
  const log = openEmbeddedLog(embeddedDirectory, { clock });
  return {
    log,
    async openWriter(onRepair) {
      const { openEmbeddedLogWriter } = await import("./embedded/embedded-log-writer.ts");
      const writer = await openEmbeddedLogWriter(embeddedDirectory);
      for (const repair of writer.repairs) onRepair?.(`cut off a torn tail: ${JSON.stringify(repair)}`);
      return writer;
    },
    checkTopic: (topic) => checkPartitions(log, topic),
  };
}

async function openKafka(config: KafkaConfig, { clock }: LogPlace): Promise<MeshLog> {
  const { openKafkaLog } = await import("./kafka/kafka-log.ts");
  const log = openKafkaLog(config, { clock });
  return {
    log,
    async openWriter() {
      const { openKafkaLogWriter } = await import("./kafka/kafka-log-writer.ts");
      return openKafkaLogWriter(config, { clock });
    },
    async checkTopic(topic) {
      await checkPartitions(log, topic);
      if (topic.timestamps !== "NonDecreasing" || (await log.timestampType(topic.name)) === "LogAppendTime") return;
      throw new Fault(
        "invalid-manifest",
        `open topic ${topic.name}: the manifest says that its timestamps are NonDecreasing, and its ` +
          "message.timestamp.type is CreateTime, which promises nothing; make it LogAppendTime, or say Unordered",
      );
    },
  };
}

async function checkPartitions(log: Log, topic: TopicSpec): Promise<void> {
  const { partitions } = await log.describeTopic(topic.name);
  if (partitions === topic.partitions) return;
  throw new Fault(
    "invalid-manifest",
    `open topic ${topic.name}: it has ${partitions} partitions, the manifest says ${topic.partitions}`,
  );
}

/** Looks up what the manifest only names. Fault `invalid-manifest`: it is not there. */
export async function kafkaConfigOf(spec: KafkaLogSpec, place: LogPlace): Promise<KafkaConfig> {
  const { tls, sasl } = spec;
  const file = (path: string | undefined, what: string) =>
    path === undefined ? undefined : readNamed(resolve(place.manifestDirectory, path), what);
  const brokers = isSource(spec.brokers)
    ? (await look(spec.brokers, "brokers", place)).split(",").map((broker) => broker.trim())
    : spec.brokers;
  const [ca, cert, key] = await Promise.all([
    file(tls?.caFile, "tls.caFile"),
    file(tls?.certFile, "tls.certFile"),
    file(tls?.keyFile, "tls.keyFile"),
  ]);
  return {
    brokers,
    ...(tls === undefined
      ? {}
      : {
          tls: {
            ...(ca === undefined ? {} : { ca }),
            ...(cert === undefined ? {} : { cert }),
            ...(key === undefined ? {} : { key }),
            ...(tls.serverName === undefined ? {} : { servername: tls.serverName }),
          },
        }),
    ...(sasl === undefined
      ? {}
      : {
          sasl: {
            mechanism: sasl.mechanism,
            username: await look(sasl.username, "sasl.usernameFrom", place),
            password: await look(sasl.password, "sasl.passwordFrom", place),
          },
        }),
  };
}

function isSource(brokers: KafkaLogSpec["brokers"]): brokers is SecretSource {
  return !Array.isArray(brokers);
}

async function look(source: SecretSource, what: string, place: LogPlace): Promise<string> {
  if ("file" in source) return (await readNamed(resolve(place.manifestDirectory, source.file), what)).trim();
  const value = place.environment[source.environment];
  if (value !== undefined && value !== "") return value;
  throw new Fault("invalid-manifest", `open the log: ${what}: the environment has no ${source.environment}`);
}

async function readNamed(path: string, what: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw new Fault("invalid-manifest", `open the log: ${what}: ${(error as Error).message}`, {}, error);
  }
}
