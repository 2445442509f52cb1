import type { NodeConfig } from "../../../src/node/node-config.ts";
import { tableSpec } from "../../node/node-fixture.ts";

/** A mesh of two shards whose only table is made of one topic with two partitions. */
export function oneTopic(topic: string): Pick<NodeConfig, "tables" | "topics"> {
  return {
    tables: [tableSpec(topic, "Append", { id: "INT64", word: "STRING?" })],
    topics: [{ name: topic, partitions: 2, format: "JSON", timestamps: "None" }],
  };
}
