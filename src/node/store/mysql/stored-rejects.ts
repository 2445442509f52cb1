import type { Cut } from "../../../mesh/cut.ts";
import type { Parameter, Row } from "../../../mysql/mysql-pool.ts";
import type { RecordPlace, RejectedRecord } from "../shard-store.ts";

export interface Statement {
  readonly sql: string;
  readonly parameters: readonly Parameter[];
}

/** `table` is qualified. Rejects with an offset below the cut. */
export function countRejectsBelow(table: string, cut: Cut): Statement {
  const below = cut.map(() => "(`topic` = ? AND `partition` = ? AND `offset` < ?)").join(" OR ");
  const parameters = cut.flatMap(({ topic, partition, position }) => [topic, partition, String(position)]);
  return { sql: `SELECT COUNT(*) FROM ${table} WHERE ${below}`, parameters };
}

/** A page of rejects behind a place. Topics are compared by their bytes, as the column's collation does. */
export function rejectsAfter(table: string, after: RecordPlace | undefined, limit: number): Statement {
  const select = `SELECT \`topic\`, \`partition\`, \`offset\`, \`timestamp_ms\`, \`reason\`, \`key\`, \`value\` FROM ${table}`;
  const order = `ORDER BY \`topic\`, \`partition\`, \`offset\` LIMIT ${Math.trunc(limit)}`;
  if (after === undefined) return { sql: `${select} ${order}`, parameters: [] };
  const { topic, partition, offset } = after;
  const behind = "`topic` > ? OR (`topic` = ? AND (`partition` > ? OR (`partition` = ? AND `offset` > ?)))";
  return {
    sql: `${select} WHERE ${behind} ${order}`,
    parameters: [topic, topic, partition, partition, String(offset)],
  };
}

export function rejectOf([topic, partition, offset, timestampMs, reason, key, value]: Row): RejectedRecord {
  return {
    topic: topic as string,
    partition: partition as number,
    offset: BigInt(offset as string),
    timestampMs: Number(timestampMs),
    reason: reason as string,
    key: key as Buffer | null,
    value: value as Buffer | null,
  };
}
