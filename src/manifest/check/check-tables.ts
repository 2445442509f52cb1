import { suggestion } from "../did-you-mean.ts";
import type { MeshDocument } from "../schema/mesh-schema.ts";
import type { TableDocument } from "../schema/table-schema.ts";
import { COLUMN_TYPES, parseColumnType } from "../value/column-type.ts";
import type { Draft } from "./draft.ts";
import { checkUnique, type Drafted, type Report } from "./drafts.ts";

/** Tables, their columns and keys, and the topics they are made of. Names ignore case, as SQL does. */
export function checkTables({ source, draft }: Drafted<MeshDocument>, report: Report): void {
  const tables = draft.spec?.tables ?? [];
  const topics = (draft.spec?.topics ?? []).flatMap((topic) => topic?.name ?? []);
  checkUnique(
    tables.map((table, i) => [table?.name, (m) => report(source, ["spec", "tables", i, "name"], m)]),
    "table",
    true,
  );
  for (const [i, table] of tables.entries()) {
    if (table === undefined) continue;
    const at = (...path: (string | number)[]) => ["spec", "tables", i, ...path];
    if (table.topic !== undefined && !topics.includes(table.topic)) {
      const hint = suggestion(table.topic, topics);
      report(source, at("topic"), `there is no topic ${JSON.stringify(table.topic)}${hint}`);
    }
    const columns = table.columns ?? [];
    checkUnique(
      columns.map((column, j) => [column?.name, (m) => report(source, at("columns", j, "name"), m)]),
      "column",
      true,
    );
    for (const [j, column] of columns.entries()) {
      if (column?.type === undefined || parseColumnType(column.type) !== undefined) continue;
      const allowed = `${COLUMN_TYPES.join(", ")} (p 1 to 38, s at most p)`;
      const found = JSON.stringify(column.type);
      report(
        source,
        at("columns", j, "type"),
        `found ${found}; allowed: ${allowed}${suggestion(column.type, COLUMN_TYPES)}`,
      );
    }
    checkKey(table, (path, message) => report(source, at(...path), message));
  }
}

function checkKey(table: Draft<TableDocument>, report: (path: (string | number)[], message: string) => void): void {
  if (table.kind === "Upsert" && table.key === undefined) report(["key"], "is missing: an Upsert table needs a key");
  if (table.kind === "Append" && table.key !== undefined) report(["key"], "an Append table has no key");
  const columns = table.columns ?? [];
  const names = columns.flatMap((column) => column?.name ?? []);
  checkUnique(
    (table.key ?? []).map((name, j) => [name, (m) => report(["key", j], m)]),
    "key column",
  );
  for (const [j, name] of (table.key ?? []).entries()) {
    if (name === undefined) continue;
    const column = columns.find((c) => c?.name === name);
    if (column === undefined) {
      report(["key", j], `there is no column ${JSON.stringify(name)}${suggestion(name, names)}`);
    } else if (column.nullable === true) {
      report(["key", j], `column ${JSON.stringify(name)} is nullable; a key is not`);
    } else if (column.type === "DOUBLE") {
      // Two zeros and many NaNs: equal keys would not be equal bytes.
      report(["key", j], `column ${JSON.stringify(name)} is a DOUBLE; a key needs values that are equal or not`);
    }
  }
}
