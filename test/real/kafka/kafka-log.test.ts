/** The contract of the log on a real broker, over each of its listeners. */
import { readFileSync } from "node:fs";
import { Kafka, logLevel } from "kafkajs";
import { afterAll, beforeAll } from "vitest";
import type { KafkaConfig } from "../../../src/log/kafka/kafka-config.ts";
import { openKafkaLog } from "../../../src/log/kafka/kafka-log.ts";
import { openKafkaLogWriter } from "../../../src/log/kafka/kafka-log-writer.ts";
import { logAcceptance } from "../../acceptance/log.suite.ts";
import { BROKER_PASSWORD, BROKER_USER, KafkaBroker } from "./kafka-broker.ts";

let broker: KafkaBroker;
beforeAll(async () => {
  broker = await KafkaBroker.start();
});
afterAll(() => broker?.close());

const user = { username: BROKER_USER, password: BROKER_PASSWORD };
const tls = () => ({ ca: readFileSync(broker.certificate.authority) });
const LISTENERS: Record<string, () => KafkaConfig> = {
  plain: () => ({ brokers: [broker.plain] }),
  TLS: () => ({ brokers: [broker.tls], tls: tls() }),
  "TLS with SCRAM-SHA-512": () => ({
    brokers: [broker.sasl],
    tls: tls(),
    sasl: { mechanism: "SCRAM-SHA-512", ...user },
  }),
  "TLS with PLAIN": () => ({ brokers: [broker.sasl], tls: tls(), sasl: { mechanism: "PLAIN", ...user } }),
};

for (const [name, config] of Object.entries(LISTENERS)) {
  logAcceptance(`Kafka, ${name}`, async () => {
    const [log, writer] = [openKafkaLog(config()), openKafkaLogWriter(config())];
    const kafka = new Kafka({ brokers: [broker.plain], logLevel: logLevel.NOTHING });
    const admin = kafka.admin();
    await admin.connect();
    const deleteAll = async () => {
      const topics = (await admin.listTopics()).filter((topic) => !topic.startsWith("__"));
      if (topics.length > 0) await admin.deleteTopics({ topics });
      while ((await admin.listTopics()).some((topic) => !topic.startsWith("__"))) {
        await new Promise((wake) => setTimeout(wake, 20));
      }
    };
    return {
      log,
      writer,
      openReader: async () => openKafkaLog(config()),
      async recreateTopic(topic, partitions) {
        await deleteAll();
        return writer.createTopic(topic, partitions);
      },
      async close() {
        await writer.close();
        await log.close();
        await deleteAll();
        await admin.disconnect();
      },
    };
  });
}
