import { openKafkaLog } from "../../../src/log/kafka/kafka-log.ts";
import { startNode } from "../../../src/node/start-node.ts";
import { nodeConfig } from "../../node/small-mesh.ts";
import { oneTopic } from "./one-topic.ts";

// A node agent on a Kafka topic in a process of its own, to be killed: small batches, so that it is always within one.
const [directory, broker, topic] = process.argv.slice(2);
const log = openKafkaLog({ brokers: [broker!] });
const ingest = { batchRowsMax: 50, fetchBytes: 2_000, pollBytes: 2_000, retryFirstMs: 5, retryMaxMs: 100 };
const running = await startNode(nodeConfig(directory!, log, { ...oneTopic(topic!), ingest }));
console.log(JSON.stringify({ ready: { address: running.address } }));
