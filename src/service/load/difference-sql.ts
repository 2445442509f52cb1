import { type ColumnRead, sqlTypeOf } from "./column-vector.ts";
import { identifier } from "./scan-snapshot.ts";

export interface Difference {
  readonly rows: "added" | "removed" | "replaced";
  /** Relation of the rows from which are selected: those that only the new snapshot has; for `removed` only the former. */
  readonly own: string;
  /** Relation of the rows that only the other one has. */
  readonly others: string;
  /** That are selected, and by which rows are compared. */
  readonly columns: readonly ColumnRead[];
  /** Empty: a row has no key, and equal rows count as often as they are there. */
  readonly key: readonly ColumnRead[];
}

/** The statement that selects the rows by which two snapshots differ; replaced ones as columns `before:NAME` and `after:NAME`. */
export function differenceSql({ rows, own, others, columns, key }: Difference): string {
  if (key.length === 0) return keyless(own, others, columns);
  const keyNames = key.map(({ name }) => identifier(name)).join(", ");
  const all = [...new Map([...key, ...columns].map((read) => [read.name, read])).values()];
  if (rows !== "replaced") {
    const names = columns.map(({ name }) => identifier(name)).join(", ");
    return `SELECT ${names} FROM ${typed(own, all)} ANTI JOIN ${typed(others, key)} USING (${keyNames})`;
  }
  const selected = ["before", "after"].flatMap((side) =>
    columns.map(({ name }) => `${side}.${identifier(name)} AS ${identifier(`${side}:${name}`)}`),
  );
  const differ = columns.map((read) => `${comparable(read, "before.")} IS DISTINCT FROM ${comparable(read, "after.")}`);
  const on = key.map(({ name }) => `before.${identifier(name)} = after.${identifier(name)}`);
  return (
    `SELECT ${selected.join(", ")} FROM ${typed(others, all)} AS before JOIN ${typed(own, all)} AS after ` +
    `ON ${on.join(" AND ")} WHERE ${differ.join(" OR ")}`
  );
}

/** Each row of `own` that is not in `others`, as many times as it is there more often. */
function keyless(own: string, others: string, columns: readonly ColumnRead[]): string {
  const names = columns.map(({ name }) => identifier(name)).join(", ");
  const sides = [
    [own, 1],
    [others, -1],
  ] as const;
  const both = sides.map(([rows, copies]) => `SELECT *, ${copies} AS "copy:" FROM ${typed(rows, columns)}`);
  const group = [...new Set(columns.flatMap((read) => [identifier(read.name), comparable(read, "")]))].join(", ");
  const counted = `SELECT ${names}, sum("copy:") AS "copies:" FROM (${both.join(" UNION ALL ")}) GROUP BY ${group} HAVING sum("copy:") > 0`;
  return `SELECT ${names} FROM (SELECT ${names}, unnest(range(CAST("copies:" AS BIGINT))) FROM (${counted}))`;
}

function typed(relation: string, columns: readonly ColumnRead[]): string {
  const selected = columns.map(({ name, type }) => {
    return `CAST(${identifier(name)} AS ${sqlTypeOf(type)}) AS ${identifier(name)}`;
  });
  return `(SELECT ${selected.join(", ")} FROM ${relation})`;
}

/** Zero and minus zero are equal to SQL and are different values. */
function comparable({ name, type }: ColumnRead, prefix: string): string {
  const column = prefix + identifier(name);
  return type === "DOUBLE" ? `CAST(${column} AS VARCHAR)` : column;
}
