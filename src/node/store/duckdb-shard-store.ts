import { resolve } from "node:path";
import { type DuckDBBlobValue, type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { Fault } from "../../fault/fault.ts";
import { type Cut, cutOf } from "../../mesh/cut.ts";
import type { TableSpec } from "../../mesh/table-spec.ts";
import { crashPoint } from "../../process/crash-point.ts";
import { nextTurn } from "../../process/turn.ts";
import { OneAtATime } from "../one-at-a-time.ts";
import { type AppendedRows, appendRows, recordRows, rejectRows } from "./append-rows.ts";
import { createSchema, literal, storedColumns } from "./duckdb-schema.ts";
import { writeMerged, writeTail } from "./segment-writer.ts";
import type {
  IngestBatch,
  MergeRequest,
  RecordPlace,
  RejectedRecord,
  SegmentContent,
  SegmentRequest,
  ShardStore,
} from "./shard-store.ts";
import { isFatal, storeFault } from "./store-fault.ts";

export interface DuckDbOptions {
  /** As DuckDB writes it: `256MB`. Beyond it DuckDB spills to `temporaryDirectory`. */
  readonly memoryLimit: string;
  readonly threads: number;
  readonly temporaryDirectory: string;
}

/** Batches that may wait for their turn to commit; a shard has one loop for each of its partitions. */
const COMMITS_WAITING_MAX = 4096;
const SEGMENTS_WAITING_MAX = 64;

// DuckDB's file lock is per process: a second open of a file in one process succeeds, and closing either gives the lock
// away to other processes. So this process keeps its own account.
const openPaths = new Set<string>();

/**
 * A shard's store in one DuckDB file. Two connections: one writes, one reads for freezes; a statement sees what was
 * committed when it began, so they do not wait for each other. Rows are only ever inserted, which lets DuckDB checkpoint
 * beside a reader.
 */
export class DuckDbShardStore implements ShardStore {
  readonly #path: string;
  readonly #tables: ReadonlyMap<string, TableSpec>;
  readonly #options: DuckDbOptions;
  readonly #commits: OneAtATime;
  readonly #segments: OneAtATime;
  /** `undefined` after a failure that closed it, until it opens again. */
  #database: Database | undefined;
  #isClosed = false;

  private constructor(path: string, tables: readonly TableSpec[], options: DuckDbOptions, database: Database) {
    this.#path = path;
    this.#tables = new Map(tables.map((table) => [table.name, table]));
    this.#options = options;
    this.#database = database;
    this.#commits = new OneAtATime(`commit to ${path}`, COMMITS_WAITING_MAX);
    this.#segments = new OneAtATime(`write a segment from ${path}`, SEGMENTS_WAITING_MAX);
  }

  /** Faults: `store-locked` (says by whom), `data-corrupt`, `invalid-manifest` (a table changed), `store-failed`. */
  static async open(path: string, tables: readonly TableSpec[], options: DuckDbOptions): Promise<DuckDbShardStore> {
    const absolute = resolve(path);
    if (openPaths.has(absolute)) {
      throw new Fault("store-locked", `open ${path}: this process (${process.pid}) has it open already`);
    }
    openPaths.add(absolute);
    try {
      return new DuckDbShardStore(absolute, tables, options, await openDatabase(absolute, tables, options));
    } catch (error) {
      openPaths.delete(absolute);
      throw error;
    }
  }

  async position(): Promise<Cut> {
    return this.#read("read the position", async ({ writer }) => {
      const found = await writer.runAndReadAll(
        "SELECT topic, topic_id, partition, max(to_position) FROM meta.positions GROUP BY ALL",
      );
      return cutOf(
        found.getRows().map(([topic, topicId, partition, position]) => ({
          topic: topic as string,
          topicId: topicId as string,
          partition: partition as number,
          position: position as bigint,
        })),
      );
    });
  }

  /** Nothing is ever deleted, so every cut can be frozen. */
  async horizon(): Promise<Cut> {
    return [];
  }

  async rejected(): Promise<bigint> {
    return this.#read("count rejects", async ({ writer }) => {
      const found = await writer.runAndReadAll("SELECT count(*) FROM meta.rejects");
      return found.getRows()[0]![0] as bigint;
    });
  }

  rejects(after: RecordPlace | undefined, limit: number): Promise<RejectedRecord[]> {
    const { topic, partition, offset } = after ?? { topic: "", partition: 0, offset: 0n };
    return this.#read("read rejects", async ({ writer }) => {
      const found = await writer.runAndReadAll(
        `SELECT topic, partition, "offset", timestamp_ms, reason, key, value FROM meta.rejects
         WHERE (topic, partition, "offset") > ($1, $2, $3) ORDER BY topic, partition, "offset" LIMIT $4`,
        [topic, partition, offset, limit],
      );
      return found.getRows().map(rejectOf);
    });
  }

  async rejectedBelow(cut: Cut): Promise<bigint> {
    if (cut.length === 0) return 0n;
    const below = cut.map(
      (p) => `(topic = ${literal(p.topic)} AND partition = ${p.partition} AND "offset" < ${p.position})`,
    );
    return this.#read("count rejects", async ({ writer }) => {
      const found = await writer.runAndReadAll(`SELECT count(*) FROM meta.rejects WHERE ${below.join(" OR ")}`);
      return found.getRows()[0]![0] as bigint;
    });
  }

  commit(batch: IngestBatch): Promise<void> {
    return this.#read(`commit ${batch.topic}/${batch.partition}@${batch.from}`, async ({ writer }) => {
      await writer.run("BEGIN");
      try {
        await this.#checkPosition(writer, batch);
        await this.#insert(writer, batch);
        await writer.run("COMMIT");
      } catch (error) {
        // A failed commit has ended the transaction already; then there is nothing to roll back.
        await writer.run("ROLLBACK").catch(() => {});
        throw error;
      }
      crashPoint("ingest-committed");
    });
  }

  async #checkPosition(writer: DuckDBConnection, batch: IngestBatch): Promise<void> {
    const found = await writer.runAndReadAll(
      "SELECT topic_id, to_position FROM meta.positions WHERE topic = $1 AND partition = $2 ORDER BY to_position DESC LIMIT 1",
      [batch.topic, batch.partition],
    );
    const [topicId = batch.topicId, position = 0n] = (found.getRows()[0] ?? []) as [string?, bigint?];
    const what = `commit ${batch.topic}/${batch.partition}`;
    if (topicId !== batch.topicId) {
      throw new Fault(
        "topic-recreated",
        `${what}: the shard holds records of topic id ${topicId}, not ${batch.topicId}`,
      );
    }
    if (position !== batch.from) {
      throw new Fault("fenced", `${what} from ${batch.from}: the committed position is ${position}`);
    }
  }

  async #insert(writer: DuckDBConnection, batch: IngestBatch): Promise<void> {
    for (const [name, records] of Map.groupBy(batch.rows, (row) => row.table)) {
      await append(writer, "rows", name, recordRows(storedColumns(this.#table(name)), records));
    }
    await append(writer, "meta", "rejects", rejectRows(batch.rejects));
    crashPoint("ingest-rows-appended");
    const { topic, topicId, partition, from, to } = batch;
    await writer.run("INSERT INTO meta.positions VALUES ($1, $2, $3, $4, $5)", [topic, topicId, partition, from, to]);
    crashPoint("ingest-position-inserted");
  }

  writeSegment(request: SegmentRequest): Promise<SegmentContent> {
    const table = this.#table(request.table);
    return this.#write(`write a segment of "${table.name}"`, ({ reader }) => writeTail(reader, table, request));
  }

  mergeSegments(request: MergeRequest): Promise<SegmentContent> {
    const table = this.#table(request.table);
    return this.#write(`merge segments of "${table.name}"`, ({ reader }) => writeMerged(reader, table, request));
  }

  /** On the reading connection, one at a time; commits go on meanwhile. */
  #write<T>(attempted: string, work: (database: Database) => Promise<T>): Promise<T> {
    return this.#segments.run(async () => {
      try {
        return await work(await this.#commits.run(() => this.#opened()));
      } catch (error) {
        throw storeFault(error, attempted);
      }
    });
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#segments.run(() => this.#commits.run(async () => this.#giveUp()));
    openPaths.delete(this.#path);
  }

  /** On the writing connection, one at a time: a statement of another would fall into an open transaction. */
  #read<T>(attempted: string, work: (database: Database) => Promise<T>): Promise<T> {
    return this.#commits.run(async () => {
      try {
        return await work(await this.#opened());
      } catch (error) {
        if (isFatal(error)) this.#giveUp();
        throw storeFault(error, attempted);
      }
    });
  }

  /** The open database; opens it again where a failure has closed it, so that a store mends as soon as its disk does. */
  async #opened(): Promise<Database> {
    if (this.#database === undefined && this.#isClosed) {
      throw new Fault("store-failed", `use ${this.#path}: the store is closed`);
    }
    this.#database ??= await openDatabase(this.#path, [...this.#tables.values()], this.#options);
    return this.#database;
  }

  #giveUp(): void {
    const database = this.#database;
    this.#database = undefined;
    if (database !== undefined) closeDatabase(database);
  }

  #table(name: string): TableSpec {
    const table = this.#tables.get(name);
    if (table === undefined) throw new Fault("invalid-request", `no table "${name}" in ${this.#path}`);
    return table;
  }
}

function rejectOf([topic, partition, offset, timestampMs, reason, key, value]: readonly unknown[]): RejectedRecord {
  const bytes = (blob: unknown) => (blob === null ? null : (blob as DuckDBBlobValue).bytes);
  return {
    topic: topic as string,
    partition: partition as number,
    offset: offset as bigint,
    timestampMs: Number(timestampMs),
    reason: reason as string,
    key: bytes(key),
    value: bytes(value),
  };
}

interface Database {
  readonly instance: DuckDBInstance;
  readonly writer: DuckDBConnection;
  readonly reader: DuckDBConnection;
}

async function openDatabase(path: string, tables: readonly TableSpec[], options: DuckDbOptions): Promise<Database> {
  let instance: DuckDBInstance | undefined;
  try {
    instance = await DuckDBInstance.create(path, {
      threads: String(options.threads),
      memory_limit: options.memoryLimit,
      temp_directory: options.temporaryDirectory,
      autoinstall_known_extensions: "false",
      autoload_known_extensions: "false",
      // Segments are read once after they are written; keeping them in memory would be at the services' cost.
      enable_external_file_cache: "false",
    });
    const writer = await instance.connect();
    await createSchema(writer, tables);
    await dropOldPositions(writer);
    return { instance, writer, reader: await instance.connect() };
  } catch (error) {
    instance?.closeSync();
    throw storeFault(error, `open ${path}`);
  }
}

async function append(writer: DuckDBConnection, schema: string, table: string, rows: AppendedRows): Promise<void> {
  if (rows.count === 0) return;
  const appender = await writer.createAppender(table, schema);
  try {
    for (const _ of appendRows(appender, rows)) await nextTurn();
  } finally {
    appender.closeSync();
  }
}

/** Nobody reads yet, so deleting does no harm; one row is left for each partition. */
async function dropOldPositions(connection: DuckDBConnection): Promise<void> {
  await connection.run(`DELETE FROM meta.positions AS old WHERE EXISTS (
    FROM meta.positions AS newer
    WHERE newer.topic = old.topic AND newer.partition = old.partition AND newer.to_position > old.to_position)`);
}

function closeDatabase({ instance, writer, reader }: Database): void {
  reader.closeSync();
  writer.closeSync();
  instance.closeSync();
}
