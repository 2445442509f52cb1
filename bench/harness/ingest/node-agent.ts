/** A node agent as `skynetes node` runs it, with its defaults; until every record is committed in its stores. */
import { openKafkaLog } from "../../../src/log/kafka/kafka-log.ts";
import { startNode } from "../../../src/node/start-node.ts";
import { systemClock, systemRandomness } from "../../../src/process/clock.ts";
import { NodeAgentService } from "../../../src/wire/generated/skynetes/v1/node_agent_pb.ts";
import { unaryClient } from "../../../src/wire/grpc-service.ts";
import { answerQuestions } from "../process/answer-questions.ts";
import { INGESTED, type IngestOutcome, PARTITIONS } from "./ingest-source.ts";

const LOOK_MS = 20;

answerQuestions({ ingest }, { ending: true });

async function ingest(broker: string, rowsOfPartition: number, directory: string): Promise<IngestOutcome> {
  const startedAt = performance.now();
  const cpu = process.cpuUsage();
  const log = openKafkaLog({ brokers: [broker] });
  const node = await startNode({
    ...INGESTED,
    log,
    dataDirectory: `${directory}/node-a`,
    archiveDirectory: `${directory}/archive`,
    listen: { host: "127.0.0.1", port: 0 },
    clock: systemClock,
    randomness: systemRandomness,
  });
  const agent = unaryClient(NodeAgentService, node.address);
  for (;;) {
    const { shards } = await agent.getNodeStatus({}, { timeoutMs: 10_000 });
    const trouble = shards.find(({ alarm, rejected }) => alarm !== "" || rejected > 0n);
    if (trouble !== undefined) throw new Error(`shard ${trouble.shard}: ${trouble.rejected} rejects; ${trouble.alarm}`);
    if (shards.every(({ position }) => position?.positions[0]?.position === BigInt(rowsOfPartition))) break;
    await new Promise((wake) => setTimeout(wake, LOOK_MS));
  }
  const seconds = (performance.now() - startedAt) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  agent.close();
  await node.close();
  await log.close();
  return { rows: rowsOfPartition * PARTITIONS, seconds, cpuSeconds: (user + system) / 1e6 };
}
