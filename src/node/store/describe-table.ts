import type { TableSpec } from "../../mesh/table-spec.ts";

/** The same for equal tables, whatever order their fields are in. */
export function describeTable({ topic, kind, distribution, key, columns }: TableSpec): string {
  const plain = columns.map(({ name, type, nullable }) => ({ name, type, nullable }));
  return JSON.stringify({ topic, kind, distribution, key, columns: plain });
}
