import { Fault } from "../fault/fault.ts";
import { type Cut, cutOf, positionIn } from "../mesh/cut.ts";
import type { TableSpec, TopicSpec } from "../mesh/table-spec.ts";

/** One partition of the log that a shard is built from, and the table that its records are rows of. */
export interface Holding {
  readonly table: TableSpec;
  readonly topic: string;
  readonly partition: number;
  /** The topic whose partition it is. */
  readonly spec: TopicSpec;
}

/** The positions of exactly these partitions. Fault `invalid-request`, saying what was attempted, when one is missing. */
export function cutOfHoldings(holdings: readonly Holding[], wished: Cut, attempted: string): Cut {
  return cutOf(
    holdings.map(({ topic, partition }) => {
      const position = positionIn(wished, topic, partition);
      if (position !== undefined) return position;
      throw new Fault("invalid-request", `${attempted}: the cut has no position of ${topic}/${partition}`);
    }),
  );
}

/**
 * What a shard holds: partition `i` of every sharded table's topic, all partitions of every broadcast table's. Fault
 * `invalid-manifest` when tables and topics do not fit together.
 */
export function holdingsOf(shard: number, tables: readonly TableSpec[], topics: readonly TopicSpec[]): Holding[] {
  const seen = new Map<string, string>();
  return tables.flatMap((table) => {
    const what = `table "${table.name}"`;
    const topic = topics.find(({ name }) => name === table.topic);
    if (topic === undefined) throw new Fault("invalid-manifest", `${what}: there is no topic "${table.topic}"`);
    const other = seen.get(topic.name);
    if (other !== undefined) {
      // A record that fits one table and not the other would be a row and a reject at once.
      throw new Fault("invalid-manifest", `${what}: topic "${topic.name}" is the topic of table "${other}" already`);
    }
    seen.set(topic.name, table.name);
    if (table.distribution === "Sharded") {
      if (shard >= topic.partitions) {
        throw new Fault(
          "invalid-manifest",
          `${what}: topic "${topic.name}" has no partition ${shard} for shard ${shard}`,
        );
      }
      return [{ table, topic: topic.name, partition: shard, spec: topic }];
    }
    return Array.from({ length: topic.partitions }, (_, partition) => ({
      table,
      topic: topic.name,
      partition,
      spec: topic,
    }));
  });
}
