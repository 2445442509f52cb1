import { join } from "node:path";
import { onTestFinished } from "vitest";
import type { TopicSpec } from "../../src/mesh/table-spec.ts";
import type { NodeConfig } from "../../src/node/node-config.ts";
import { startNode } from "../../src/node/start-node.ts";
import { systemClock, systemRandomness } from "../../src/process/clock.ts";
import { NodeAgentService } from "../../src/wire/generated/skynetes/v1/node_agent_pb.ts";
import { unaryClient } from "../../src/wire/grpc-service.ts";
import { MemoryLog } from "./memory-log.ts";
import { tableSpec } from "./node-fixture.ts";

/** Events in two shards, places known to all; the mesh that the node's tests run. */
export const TABLES = [
  tableSpec("events", "Append", { id: "INT64", word: "STRING?" }),
  tableSpec("places", "Upsert", { code: "STRING", name: "STRING?" }, { distribution: "Broadcast", key: ["code"] }),
];

export const TOPICS: TopicSpec[] = [
  { name: "events", partitions: 2, format: "JSON", timestamps: "NonDecreasing" },
  { name: "places", partitions: 1, format: "JSON", timestamps: "None" },
];

/** The same records for everyone who asks: every tenth event is no row, a place is named three times and removed once. */
export function filledLog(events: number): MemoryLog {
  const log = new MemoryLog();
  log.createTopic("events", 2);
  log.createTopic("places", 1);
  for (const partition of [0, 1]) {
    const value = (i: number) => (i % 10 === 9 ? "poison" : `{"id":${2n ** 60n + BigInt(i)},"word":"w${i % 7}"}`);
    log.append(
      "events",
      partition,
      Array.from({ length: events }, (_, i) => ({ value: value(i) })),
    );
    log.skip("events", partition, 3n);
  }
  const place = (code: string, name: string | null) => ({
    key: code,
    value: name === null ? null : JSON.stringify({ code, name }),
  });
  log.append("places", 0, [place("LAX", "old"), place("SFO", "bay"), place("LAX", "new"), place("SFO", null)]);
  return log;
}

export function nodeConfig(directory: string, log: NodeConfig["log"], more: Partial<NodeConfig> = {}): NodeConfig {
  return {
    mesh: "small",
    node: "node-a",
    shards: [0, 1],
    tables: TABLES,
    topics: TOPICS,
    log,
    dataDirectory: join(directory, "nodes", more.node ?? "node-a"),
    archiveDirectory: join(directory, "archive"),
    listen: { host: "127.0.0.1", port: 0 },
    clock: systemClock,
    randomness: systemRandomness,
    ingest: { retryFirstMs: 5, retryMaxMs: 20 },
    ...more,
  };
}

export async function runningNode(directory: string, log: NodeConfig["log"], more: Partial<NodeConfig> = {}) {
  const config = nodeConfig(directory, log, more);
  const running = await startNode(config);
  const agent = unaryClient(NodeAgentService, running.address);
  let closed: Promise<void> | undefined;
  const close = () => {
    if (closed === undefined) agent.close();
    closed ??= running.close();
    return closed;
  };
  onTestFinished(close);
  return { ...agentCalls(agent), directory: config.dataDirectory, close };
}

const WITHIN = { timeoutMs: 20_000 };

export function agentCalls(agent: ReturnType<typeof unaryClient<typeof NodeAgentService>>) {
  const shardStatus = async (shard: number) => {
    const { shards } = await agent.getNodeStatus({}, WITHIN);
    return shards.find((status) => status.shard === shard)!;
  };
  return {
    shardStatus,
    /** Asks again while the cut is not reached, as the driver of a mesh does. */
    async freeze(snapshot: string, shard: number, cut: ReturnType<typeof cutAt>) {
      for (;;) {
        try {
          return await agent.freezeShard({ snapshot, shard, cut }, WITHIN);
        } catch (error) {
          if ((error as { id?: string }).id !== "cut-not-reached") throw error;
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
      }
    },
    bind: (snapshot: string, shard: number, address: string) => agent.bindShard({ snapshot, shard, address }, WITHIN),
    unbind: (snapshot: string, shard: number, address: string) =>
      agent.unbindShard({ snapshot, shard, address }, WITHIN),
    drop: (snapshot: string) => agent.dropSnapshot({ snapshot }, WITHIN),
    host: (shard: number) => agent.hostShard({ shard }, WITHIN),
    remove: (shard: number) => agent.removeShard({ shard }, WITHIN),
    rebuild: (shard: number, divergent: string[]) => agent.rebuildShard({ shard, divergent }, WITHIN),
    rederive: (shard: number, cut: ReturnType<typeof cutAt>) => agent.rederiveShard({ shard, cut }, WITHIN),
    async until<T>(read: () => Promise<T>, holds: (value: T) => boolean): Promise<T> {
      for (let tries = 0; ; tries++) {
        const value = await read();
        if (holds(value)) return value;
        if (tries > 1000) throw new Error(`never came to hold: ${JSON.stringify(value)}`);
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    },
  };
}

/** A cut of the whole small mesh. */
export function cutAt(events: number, places = 4) {
  const at = (topic: string, partition: number, position: number) => ({
    topic,
    topicId: `id-of-${topic}`,
    partition,
    position: BigInt(position),
  });
  return { positions: [at("events", 0, events), at("events", 1, events), at("places", 0, places)] };
}
