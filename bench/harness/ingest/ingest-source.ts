import type { NodeConfig } from "../../../src/node/node-config.ts";

/** What both sides of the `ingest` benchmark read. */
export const TOPIC = "flights";
export const PARTITIONS = 4;

/** A mesh of a shard for each partition, all on one node; the table of examples/flights. */
export const INGESTED: Pick<NodeConfig, "mesh" | "node" | "shards" | "tables" | "topics"> = {
  mesh: "bench",
  node: "node-a",
  shards: Array.from({ length: PARTITIONS }, (_, shard) => shard),
  tables: [
    {
      name: TOPIC,
      topic: TOPIC,
      kind: "Append",
      distribution: "Sharded",
      key: [],
      columns: [
        { name: "date", type: "TIMESTAMP", nullable: false },
        { name: "delay", type: "INT64", nullable: false },
        { name: "distance", type: "INT64", nullable: false },
        { name: "origin", type: "STRING", nullable: false },
        { name: "destination", type: "STRING", nullable: false },
      ],
    },
  ],
  topics: [{ name: TOPIC, partitions: PARTITIONS, format: "JSON", timestamps: "Unordered" }],
};

const AIRPORTS = ["ATL", "BGR", "DEN", "JFK", "LAX", "ORD", "SFO"];

/** About 105 bytes. */
export function flight(i: number): string {
  const date = new Date(Date.UTC(2001, 0, 1) + i * 1_000).toISOString();
  const [origin, destination] = [AIRPORTS[(i * 31) % 7], AIRPORTS[(i * 17 + 3) % 7]];
  const [delay, distance] = [((i * 7919) % 90) - 30, 100 + ((i * 104729) % 3000)];
  return JSON.stringify({ date, delay, distance, origin, destination });
}

/** What a side tells when it has every record. */
export interface IngestOutcome {
  readonly rows: number;
  readonly seconds: number;
  /** User and system, all threads. */
  readonly cpuSeconds: number;
}
