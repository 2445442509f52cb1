import { join } from "node:path";
import { Fault } from "../../../fault/fault.ts";
import { type Cut, cutOf } from "../../../mesh/cut.ts";
import type { TableSpec } from "../../../mesh/table-spec.ts";
import { MySqlPool, type MySqlSession, type Parameter, type Row } from "../../../mysql/mysql-pool.ts";
import type { MySqlLogin, MySqlServer } from "../../../mysql/mysql-server.ts";
import { qualified } from "../../../mysql/quote.ts";
import { describeRows, rowsContent } from "../../../mysql/rows-content.ts";
import { crashPoint } from "../../../process/crash-point.ts";
import { lockForProcess, type ProcessLock } from "../../../process/process-lock.ts";
import { OneAtATime } from "../../one-at-a-time.ts";
import { checkNames } from "../duckdb-schema.ts";
import { segmentContent } from "../segment-content.ts";
import { writeMerged, writeTail } from "../segment-writer.ts";
import type {
  IngestBatch,
  MergeRequest,
  RecordPlace,
  RejectedRecord,
  SegmentContent,
  SegmentRequest,
  ShardStore,
} from "../shard-store.ts";
import { storeFault } from "../store-fault.ts";
import { type ExportLimits, stagedColumns, withStagedRows } from "./export-segment.ts";
import { insertRecords, insertRejects } from "./insert-rows.ts";
import { META, type ShardDatabases, schemaStatements } from "./mysql-schema.ts";
import { MySqlViews } from "./mysql-views.ts";
import { openSchema } from "./open-schema.ts";
import { countRejectsBelow, rejectOf, rejectsAfter } from "./stored-rejects.ts";
import { recordsBetween, visibleRows } from "./visible-rows.ts";

export interface MySqlStoreOptions extends ExportLimits {
  readonly server: MySqlServer;
  readonly bootstrap: MySqlLogin;
  readonly ingest: MySqlLogin;
  readonly databases: ShardDatabases;
  /** This node's own directory of the shard; its lock file tells a second process of the machine. */
  readonly directory: string;
}

const COMMITS_WAITING_MAX = 4096;
const SEGMENTS_WAITING_MAX = 64;
const COMMIT_MS = 30_000;
/** Freezes read whole tables. */
const READ_MS = 600_000;

/**
 * A shard's store in two databases of a MySQL server. READ COMMITTED is enough: what was read by position does not
 * change, and what decides between writers is the key of the positions' table.
 *
 * The lock file is a courtesy to the operator of one machine. Between machines the compare-and-set of `commit` decides,
 * which fences a writer that was taken for dead without asking it.
 */
export class MySqlShardStore implements ShardStore {
  readonly views: MySqlViews;
  readonly #data: string;
  readonly #tables: ReadonlyMap<string, TableSpec>;
  readonly #options: MySqlStoreOptions;
  readonly #lock: ProcessLock;
  readonly #bootstrap: MySqlPool;
  readonly #writer: MySqlPool;
  readonly #reader: MySqlPool;
  readonly #commits = new OneAtATime("commit to the store", COMMITS_WAITING_MAX);
  readonly #segments = new OneAtATime("write a segment of the store", SEGMENTS_WAITING_MAX);
  #closing: Promise<void> | undefined;

  private constructor(tables: readonly TableSpec[], options: MySqlStoreOptions, lock: ProcessLock, pools: Pools) {
    this.#data = options.databases.data;
    this.#tables = new Map(tables.map((table) => [table.name, table]));
    this.#options = options;
    this.#lock = lock;
    this.#bootstrap = pools.bootstrap;
    this.#writer = pools.writer;
    this.#reader = pools.reader;
    this.views = new MySqlViews(pools.bootstrap, options.databases, tables, () => this.position());
  }

  /** Faults: `store-locked` (says by whom), `invalid-manifest` (a table changed), `permission-denied`, `store-failed`. */
  static async open(tables: readonly TableSpec[], options: MySqlStoreOptions): Promise<MySqlShardStore> {
    const { server, databases } = options;
    for (const table of tables) checkNames(table);
    const statements = schemaStatements(server.dialect, databases, tables);
    const lock = lockForProcess(join(options.directory, "store.lock"), `the store of ${options.directory}`);
    const pools = {
      bootstrap: new MySqlPool(server, options.bootstrap, { connectionsMax: 1, statementMs: COMMIT_MS }),
      writer: new MySqlPool(server, options.ingest, { connectionsMax: 2, statementMs: COMMIT_MS }),
      reader: new MySqlPool(server, options.ingest, { connectionsMax: 1, statementMs: READ_MS }),
    };
    const store = new MySqlShardStore(tables, options, lock, pools);
    try {
      await openSchema(pools.bootstrap, databases.data, tables, statements);
      return store;
    } catch (error) {
      await store.close();
      throw error;
    }
  }

  async position(): Promise<Cut> {
    const found = await this.#ask(
      "read the position",
      `SELECT \`topic\`, \`topic_id\`, \`partition\`, MAX(\`to_position\`) FROM ${this.#meta("positions")} ` +
        "GROUP BY `topic`, `topic_id`, `partition`",
    );
    return cutOf(
      found.map(([topic, topicId, partition, position]) => ({
        topic: topic as string,
        topicId: topicId as string,
        partition: partition as number,
        position: BigInt(position as string),
      })),
    );
  }

  /** Rows are never deleted, so every cut can be frozen. */
  async horizon(): Promise<Cut> {
    return [];
  }

  async rejected(): Promise<bigint> {
    return count(await this.#ask("count rejects", `SELECT COUNT(*) FROM ${this.#meta("rejects")}`));
  }

  async rejects(after: RecordPlace | undefined, limit: number): Promise<RejectedRecord[]> {
    const { sql, parameters } = rejectsAfter(this.#meta("rejects"), after, limit);
    return (await this.#ask("list rejects", sql, parameters)).map(rejectOf);
  }

  async rejectedBelow(cut: Cut): Promise<bigint> {
    if (cut.length === 0) return 0n;
    const { sql, parameters } = countRejectsBelow(this.#meta("rejects"), cut);
    return count(await this.#ask("count rejects", sql, parameters));
  }

  commit(batch: IngestBatch): Promise<void> {
    const attempted = `commit ${batch.topic}/${batch.partition}@${batch.from}`;
    return this.#commits.run(() => {
      this.#checkOpen(attempted);
      return this.#writer.use(attempted, async (session) => {
        await session.run("START TRANSACTION");
        try {
          await this.#moveOn(session, batch);
          await this.#insert(session, batch);
          await session.run("COMMIT");
        } catch (error) {
          // The server rolls back by itself when the connection is lost.
          await session.run("ROLLBACK").catch(() => {});
          throw error;
        }
        crashPoint("ingest-committed");
      });
    });
  }

  /**
   * The compare-and-set. The new position's row comes first: its key is taken by one writer, and any other waits for that
   * transaction's end. Only then is it looked where the partition is, so that nothing can be moved between the look and
   * the row, and old positions may be removed at any time.
   */
  async #moveOn(session: MySqlSession, batch: IngestBatch): Promise<void> {
    const { topic, topicId, partition, from, to } = batch;
    await session.run(
      `INSERT INTO ${this.#meta("positions")} (\`topic\`, \`partition\`, \`from_position\`, \`to_position\`, \`topic_id\`) ` +
        "VALUES (?, ?, ?, ?, ?)",
      [topic, partition, String(from), String(to), topicId],
    );
    const [found] = await session.run(
      `SELECT \`topic_id\`, \`to_position\` FROM ${this.#meta("positions")} ` +
        "WHERE `topic` = ? AND `partition` = ? AND `from_position` <> ? ORDER BY `to_position` DESC LIMIT 1",
      [topic, partition, String(from)],
    );
    const [heldId, position] = found === undefined ? [topicId, 0n] : [found[0] as string, BigInt(found[1] as string)];
    const what = `commit ${topic}/${partition}`;
    if (heldId !== topicId) {
      throw new Fault("topic-recreated", `${what}: the shard holds records of topic id ${heldId}, not ${topicId}`);
    }
    if (position !== from) {
      throw new Fault("fenced", `${what} from ${from}: the committed position is ${position}`);
    }
    crashPoint("ingest-position-inserted");
  }

  async #insert(session: MySqlSession, batch: IngestBatch): Promise<void> {
    for (const [name, records] of Map.groupBy(batch.rows, (row) => row.table)) {
      await insertRecords(session, this.#data, this.#table(name), records);
    }
    await insertRejects(session, this.#data, batch.rejects);
    crashPoint("ingest-rows-appended");
  }

  /**
   * The server says what the rows are, the file is read back, and both must say the same: a digest that was computed from
   * a file alone would not speak of the views.
   */
  writeSegment(request: SegmentRequest): Promise<SegmentContent> {
    const table = this.#table(request.table);
    const { from, to } = request;
    return this.#write(`write a segment of "${table.name}"`, async (attempted) => {
      const source = `(${visibleRows(this.#data, table, from, to)}) AS \`skynetes:visible\``;
      const [row] = await this.#reader.run(attempted, describeRows(table.name, table.columns, source));
      const stored = contentOf(table, row!);
      const columns = stagedColumns(table).map(({ name }) => name);
      const rows = this.#reader.stream(attempted, recordsBetween(this.#data, table, from, to, columns));
      const written = await withStagedRows(table, rows, this.#options, (duckDb) => writeTail(duckDb, table, request));
      if (written.rows === stored.rows && written.digest === stored.digest) {
        return { ...written, statistics: stored.statistics };
      }
      throw new Fault(
        "data-corrupt",
        `${attempted}: the store has ${stored.rows} rows with digest ${stored.digest}, ` +
          `the file ${written.rows} with ${written.digest}`,
      );
    });
  }

  mergeSegments(request: MergeRequest): Promise<SegmentContent> {
    const table = this.#table(request.table);
    return this.#write(`merge segments of "${table.name}"`, () =>
      withStagedRows(table, undefined, this.#options, (duckDb) => writeMerged(duckDb, table, request)),
    );
  }

  #write<T>(attempted: string, work: (attempted: string) => Promise<T>): Promise<T> {
    return this.#segments.run(async () => {
      this.#checkOpen(attempted);
      try {
        return await work(attempted);
      } catch (error) {
        throw storeFault(error, attempted);
      }
    });
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    // What is under way comes to its end, nothing begins after it.
    await this.#segments.run(() => this.#commits.run(async () => {}));
    await Promise.all([this.#bootstrap, this.#writer, this.#reader].map((pool) => pool.close()));
    this.#lock.release();
  }

  async #ask(attempted: string, sql: string, parameters: readonly Parameter[] = []): Promise<readonly Row[]> {
    this.#checkOpen(attempted);
    return this.#writer.run(attempted, sql, parameters);
  }

  #checkOpen(attempted: string): void {
    if (this.#closing !== undefined) throw new Fault("store-failed", `${attempted}: the store is closed`);
  }

  #meta(table: keyof typeof META): string {
    return qualified(this.#data, META[table]);
  }

  #table(name: string): TableSpec {
    const table = this.#tables.get(name);
    if (table === undefined) throw new Fault("invalid-request", `no table "${name}" in ${this.#data}`);
    return table;
  }
}

interface Pools {
  readonly bootstrap: MySqlPool;
  readonly writer: MySqlPool;
  readonly reader: MySqlPool;
}

function count(rows: readonly Row[]): bigint {
  return BigInt(rows[0]![0] as string);
}

function contentOf(table: TableSpec, row: Row): SegmentContent {
  const { rows, hashed, digest, columns } = rowsContent(table.columns, row);
  if (hashed !== rows) {
    throw new Fault(
      "store-failed",
      `digest "${table.name}": ${rows - hashed} rows are longer than the server's max_allowed_packet`,
    );
  }
  return segmentContent(table, [
    String(rows),
    ...digest.map(String),
    ...columns.flatMap(({ nulls, min, max }) => [String(nulls), min, max]),
  ]);
}
