import { create } from "@bufbuild/protobuf";
import { Fault } from "../../../fault/fault.ts";
import { type Cut, cutContains, cutText } from "../../../mesh/cut.ts";
import type { TableSpec } from "../../../mesh/table-spec.ts";
import type { MySqlPool } from "../../../mysql/mysql-pool.ts";
import { qualified } from "../../../mysql/quote.ts";
import { sha256Of } from "../../../process/file-digest.ts";
import { type ShardViews, ShardViewsSchema } from "../../../wire/generated/skynetes/v1/seal_pb.ts";
import type { SnapshotViews } from "../shard-store.ts";
import type { ShardDatabases } from "./mysql-schema.ts";
import { visibleRows } from "./visible-rows.ts";

const NAME_MAX = 64;

/**
 * Snapshots as views. A view is read with the rights of who made it, so services need none on the rows; and it is bounded
 * by positions, so it costs nothing to make and shows the same rows for ever.
 */
export class MySqlViews implements SnapshotViews {
  readonly #bootstrap: MySqlPool;
  readonly #databases: ShardDatabases;
  readonly #tables: readonly TableSpec[];
  readonly #position: () => Promise<Cut>;

  constructor(
    bootstrap: MySqlPool,
    databases: ShardDatabases,
    tables: readonly TableSpec[],
    position: () => Promise<Cut>,
  ) {
    this.#bootstrap = bootstrap;
    this.#databases = databases;
    this.#tables = tables;
    this.#position = position;
  }

  async publish(snapshot: string, cut: Cut): Promise<ShardViews> {
    await this.drop(snapshot);
    for (const table of this.#tables) await this.#create(snapshot, table, cut);
    return create(ShardViewsSchema, {
      database: this.#databases.view,
      tables: this.#tables.map(({ name }) => ({ table: name, view: viewName(snapshot, name) })),
    });
  }

  async restore(snapshot: string, cut: Cut): Promise<void> {
    const found = await this.#bootstrap.run(
      `look for the views of "${snapshot}"`,
      "SELECT TABLE_NAME FROM information_schema.VIEWS WHERE TABLE_SCHEMA = ?",
      [this.#databases.view],
    );
    const there = new Set(found.map(([name]) => name));
    const missing = this.#tables.filter(({ name }) => !there.has(viewName(snapshot, name)));
    if (missing.length === 0) return;
    const position = await this.#position();
    if (!cutContains(position, cut)) {
      throw new Fault(
        "cut-not-reached",
        `make the views of "${snapshot}" anew at ${cutText(cut)}: the store is at ${cutText(position)}`,
      );
    }
    for (const table of missing) await this.#create(snapshot, table, cut);
  }

  async drop(snapshot: string): Promise<void> {
    for (const { name } of this.#tables) {
      await this.#bootstrap.run(
        `drop the view of "${name}" at "${snapshot}"`,
        `DROP VIEW IF EXISTS ${this.#nameOf(snapshot, name)}`,
      );
    }
  }

  async #create(snapshot: string, table: TableSpec, cut: Cut): Promise<void> {
    const below = cut.filter(({ topic }) => topic === table.topic);
    await this.#bootstrap.run(
      `make the view of "${table.name}" at "${snapshot}"`,
      `CREATE VIEW ${this.#nameOf(snapshot, table.name)} AS ${visibleRows(this.#databases.data, table, [], below)}`,
    );
  }

  #nameOf(snapshot: string, table: string): string {
    return qualified(this.#databases.view, viewName(snapshot, table));
  }
}

/** `<snapshot>:<table>`, as far as a name may be long. */
export function viewName(snapshot: string, table: string): string {
  const name = `${snapshot}:${table}`;
  return name.length <= NAME_MAX ? name : `${name.slice(0, NAME_MAX - 17)}~${sha256Of(name).slice(0, 16)}`;
}
