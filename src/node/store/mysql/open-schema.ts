import { Fault } from "../../../fault/fault.ts";
import type { TableSpec } from "../../../mesh/table-spec.ts";
import type { MySqlPool } from "../../../mysql/mysql-pool.ts";
import { qualified } from "../../../mysql/quote.ts";
import { describeTable } from "../describe-table.ts";
import { META } from "./mysql-schema.ts";

/** Makes what is missing and compares what is there. Fault `invalid-manifest`: a table was built otherwise. */
export async function openSchema(
  bootstrap: MySqlPool,
  data: string,
  tables: readonly TableSpec[],
  statements: readonly string[],
): Promise<void> {
  for (const statement of statements) await bootstrap.run("make the store's tables", statement);
  for (const table of tables) await checkDescription(bootstrap, data, table);
  await dropOldPositions(bootstrap, data);
}

async function checkDescription(bootstrap: MySqlPool, data: string, table: TableSpec): Promise<void> {
  const described = describeTable(table);
  const attempted = `open table "${table.name}"`;
  const descriptions = qualified(data, META.tables);
  await bootstrap.run(attempted, `INSERT IGNORE INTO ${descriptions} (\`name\`, \`description\`) VALUES (?, ?)`, [
    table.name,
    described,
  ]);
  const [row] = await bootstrap.run(attempted, `SELECT \`description\` FROM ${descriptions} WHERE \`name\` = ?`, [
    table.name,
  ]);
  const built = row![0] as string;
  if (built === described) return;
  throw new Fault(
    "invalid-manifest",
    `${attempted}: the manifest describes ${described}, the store was built with ${built}`,
  );
}

/** One row is left for each partition. Harmless to writers that are at work: they look at the newest position alone. */
async function dropOldPositions(bootstrap: MySqlPool, data: string): Promise<void> {
  const positions = qualified(data, META.positions);
  const newest = await bootstrap.run(
    "read the positions",
    `SELECT \`topic\`, \`partition\`, MAX(\`to_position\`) FROM ${positions} GROUP BY \`topic\`, \`partition\``,
  );
  for (const [topic, partition, position] of newest) {
    await bootstrap.run(
      "remove old positions",
      `DELETE FROM ${positions} WHERE \`topic\` = ? AND \`partition\` = ? AND \`to_position\` < ?`,
      [topic as string, partition as number, position as string],
    );
  }
}
