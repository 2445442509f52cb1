import type { Message } from "@bufbuild/protobuf";
import type { MethodPlan, PruningFilter } from "../../merge-plan/method-plan.ts";
import type { ColumnStatistics, ShardSeal } from "../../wire/generated/skynetes/v1/seal_pb.ts";
import { setFieldReader } from "../../wire/message-field.ts";
import { valueTypeOf } from "../../wire/value-type.ts";
import { compareToBound } from "./column-bounds.ts";

/** A shard that need not be asked: the seal proves that it has no row that could match. */
export interface PrunedShard {
  readonly shard: number;
  readonly reason: string;
}

/** The shards to leave out; they count as answered. In doubt a shard is asked. */
export function shardPruning(plan: MethodPlan, request: Message, seals: readonly ShardSeal[]): readonly PrunedShard[] {
  const active = plan.filters.flatMap((filter) => {
    const value = setFieldReader(filter.field)(request);
    return value === undefined ? [] : [{ filter, value }];
  });
  return seals.flatMap((seal) => {
    for (const { filter, value } of active) {
      const reason = exclusion(filter, value, seal);
      if (reason !== undefined) return [{ shard: seal.shard, reason }];
    }
    return [];
  });
}

function exclusion(filter: PruningFilter, value: unknown, seal: ShardSeal): string | undefined {
  const name = `${filter.table}.${filter.column}`;
  const table = seal.tables.find((one) => one.table === filter.table);
  if (table === undefined) return undefined;
  if (table.rows === 0n) return `${filter.table} has no rows`;
  const column = table.columns.find((one) => one.column === filter.column);
  if (column === undefined) return undefined;
  if (column.nulls === table.rows) return `${name} has no values`;
  const side = excludedSide(filter, value, column);
  return side && `${name} is ${side}; asked ${filter.operator} ${filter.field.name}`;
}

function excludedSide(filter: PruningFilter, value: unknown, { min, max }: ColumnStatistics): string | undefined {
  const type = valueTypeOf(filter.field);
  const toMin = min === undefined ? undefined : compareToBound(type, value, min);
  const toMax = max === undefined ? undefined : compareToBound(type, value, max);
  const isAllBelow = toMax !== undefined && toMax > 0;
  switch (filter.operator) {
    case "equal":
      if (isAllBelow) return `at most ${max}`;
      return toMin !== undefined && toMin < 0 ? `at least ${min}` : undefined;
    case "at-least":
      return isAllBelow ? `at most ${max}` : undefined;
    case "below":
      return toMin !== undefined && toMin <= 0 ? `at least ${min}` : undefined;
  }
}
