/**
 * The bare client: `Consumer.fetch` of @platformatic/kafka without a group, one loop for each partition, each value by
 * JSON.parse, nothing kept. It compares no checksum and looks up no topic id again.
 */
import { Consumer } from "@platformatic/kafka";
import { INGEST_LIMITS } from "../../../src/node/ingest/ingest-limits.ts";
import { answerQuestions } from "../process/answer-questions.ts";
import { type IngestOutcome, PARTITIONS, TOPIC } from "./ingest-source.ts";

const READ_COMMITTED = 1;

answerQuestions({ ingest }, { ending: true });

async function ingest(broker: string, rowsOfPartition: number): Promise<IngestOutcome> {
  const startedAt = performance.now();
  const cpu = process.cpuUsage();
  const clients = Array.from({ length: PARTITIONS }, (_, i) => {
    return new Consumer({ clientId: `bare-${i}`, groupId: `bare-${i}`, bootstrapBrokers: [broker] });
  });
  const counts = await Promise.all(
    clients.map((client, partition) => readPartition(client, partition, rowsOfPartition)),
  );
  const seconds = (performance.now() - startedAt) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  await Promise.all(clients.map((client) => client.close()));
  return { rows: counts.reduce((sum, count) => sum + count, 0), seconds, cpuSeconds: (user + system) / 1e6 };
}

async function readPartition(client: Consumer, partition: number, wanted: number): Promise<number> {
  const { topics } = await client.metadata({ topics: [TOPIC] });
  const { id: topicId, partitions } = topics.get(TOPIC)!;
  const node = partitions[partition]!.leader;
  const { fetchBytes: maxBytes, fetchWaitMs: maxWaitTime } = INGEST_LIMITS;
  let offset = 0n;
  let rows = 0;
  while (rows < wanted) {
    const position = { fetchOffset: offset, currentLeaderEpoch: -1, lastFetchedEpoch: -1 };
    const { responses } = await client.fetch({
      node,
      maxBytes,
      maxWaitTime,
      minBytes: 1,
      isolationLevel: READ_COMMITTED,
      topics: [{ topicId, partitions: [{ partition, partitionMaxBytes: maxBytes, ...position }] }],
    });
    for (const batch of responses[0]?.partitions[0]?.records ?? []) {
      for (const { offsetDelta, value } of batch.records) {
        if (batch.firstOffset + BigInt(offsetDelta) < offset) continue;
        const row: unknown = JSON.parse(value!.toString());
        if (row !== null) rows += 1;
      }
      offset = batch.firstOffset + BigInt(batch.lastOffsetDelta) + 1n;
    }
  }
  return rows;
}
