import { suggestion } from "../did-you-mean.ts";
import type { MeshDocument } from "../schema/mesh-schema.ts";
import type { TopicDocument } from "../schema/topic-schema.ts";
import { parseRfc3339, RFC3339_RULE } from "../value/rfc3339.ts";
import { seedFormatOf } from "../value/seed-format.ts";
import type { Draft } from "./draft.ts";
import { checkUnique, type Drafted, type Report } from "./drafts.ts";

type ReportTopic = (path: (string | number)[], message: string) => void;

/** Topics: their partitions against the shards, their seeds against the tables. */
export function checkTopics({ source, draft }: Drafted<MeshDocument>, report: Report): void {
  const topics = draft.spec?.topics ?? [];
  const tables = (draft.spec?.tables ?? []).filter((table) => table !== undefined);
  const shards = draft.spec?.shards;
  checkUnique(
    topics.map((topic, i) => [topic?.name, (m) => report(source, ["spec", "topics", i, "name"], m)]),
    "topic",
  );
  for (const [i, topic] of topics.entries()) {
    if (topic?.name === undefined) continue;
    const here: ReportTopic = (path, message) => report(source, ["spec", "topics", i, ...path], message);
    const uses = tables.filter((table) => table.topic === topic.name);
    const sharded = uses.some((table) => table.distribution !== "Broadcast");
    if (uses.length === 0) here(["name"], `no table is made of topic ${JSON.stringify(topic.name)}`);
    if (sharded && uses.some((table) => table.distribution === "Broadcast")) {
      here(["name"], "tables of one topic are all Sharded or all Broadcast");
    }
    if (sharded && topic.partitions !== undefined && shards !== undefined && topic.partitions !== shards) {
      const message = `found ${topic.partitions}; allowed: ${shards}, one for each shard, since a sharded table uses it`;
      here(["partitions"], message);
    }
    if (topic.seed !== undefined) checkSeed(topic.seed, uses, here);
  }
}

function checkSeed(
  seed: Draft<NonNullable<TopicDocument["seed"]>>,
  tables: readonly Draft<MeshDocument["spec"]["tables"][number]>[],
  report: ReportTopic,
): void {
  if (seed.file !== undefined && seed.format === undefined && seedFormatOf(seed.file) === undefined) {
    report(["seed", "format"], "is missing, and the file's name does not end in .csv, .jsonl, .ndjson or .parquet");
  }
  const columns = new Set(tables.flatMap((t) => (t.columns ?? []).flatMap((c) => c?.name ?? [])));
  const mustExist = (name: string | undefined, path: (string | number)[]) => {
    if (name === undefined || columns.size === 0 || columns.has(name)) return;
    report(path, `no table of this topic has a column ${JSON.stringify(name)}${suggestion(name, columns)}`);
  };
  for (const [j, name] of (seed.key ?? []).entries()) mustExist(name, ["seed", "key", j]);
  mustExist(seed.timestamp, ["seed", "timestamp"]);
  if (seed.timestamp !== undefined && seed.fixedTimestamp !== undefined) {
    report(["seed", "fixedTimestamp"], "either timestamp or fixedTimestamp, not both");
  }
  if (seed.fixedTimestamp !== undefined && parseRfc3339(seed.fixedTimestamp) === undefined) {
    report(["seed", "fixedTimestamp"], `found ${JSON.stringify(seed.fixedTimestamp)}; allowed: ${RFC3339_RULE}`);
  }
  for (const table of tables) {
    if (table.kind !== "Upsert" || table.key === undefined) continue;
    // The record's key is what tells a tombstone's row, and what chooses its partition: both must be the table's key.
    if (table.key.join("\n") === (seed.key ?? []).join("\n")) continue;
    const key = table.key.join(", ");
    report(["seed", "key"], `table ${JSON.stringify(table.name)} is upserted by ${key}, so its records have that key`);
  }
}
