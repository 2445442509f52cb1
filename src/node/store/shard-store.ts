import type { Cut } from "../../mesh/cut.ts";
import type { RowValue } from "../../row-format/row-value.ts";
import type { ColumnStatistics, ShardViews } from "../../wire/generated/skynetes/v1/seal_pb.ts";

/** A row that passed its table's decoder. */
export interface DecodedRecord {
  readonly table: string;
  readonly partition: number;
  readonly offset: bigint;
  /** One value per column, in the table's column order; of a tombstone only those of the key are not `null`. */
  readonly values: readonly StoreValue[];
  /** Removes the row of its key (upsert tables). */
  readonly tombstone: boolean;
}

export type StoreValue = RowValue;

export interface RejectedRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
  readonly timestampMs: number;
  readonly reason: string;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
}

export type RecordPlace = Pick<RejectedRecord, "topic" | "partition" | "offset">;

/** Records of one partition, from one position to the next, made durable in one transaction. */
export interface IngestBatch {
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
  readonly from: bigint;
  readonly to: bigint;
  readonly rows: readonly DecodedRecord[];
  readonly rejects: readonly RejectedRecord[];
}

export interface SegmentRequest {
  readonly table: string;
  /** Rows at or beyond it. Partitions that it does not name begin at 0. */
  readonly from: Cut;
  /** Rows below it. Partitions that it does not name have none. */
  readonly to: Cut;
  /** The Parquet file to write; not synced. */
  readonly path: string;
  /** Upsert tables: the table's state at `from`, in the order in which its segments were made. Absent: it has no rows. */
  readonly base?: readonly StoredSegment[];
  /** Where to write which rows of `base` are no longer visible; needed where there is a base. */
  readonly removalsPath?: string;
}

/** Files of one segment. */
export interface StoredSegment {
  readonly sha256: string;
  readonly path: string;
  readonly removalsPath: string | undefined;
}

export interface MergeRequest {
  readonly table: string;
  /** A state's segments; those from the `first` on become one. */
  readonly segments: readonly StoredSegment[];
  readonly first: number;
  readonly path: string;
  readonly removalsPath: string;
}

/** What a segment file holds, read back from the file itself. */
export interface SegmentContent {
  readonly rows: bigint;
  /** 128 bits in hex: the sum over the rows of a hash of the row, modulo 2^64 in each half. */
  readonly digest: string;
  readonly statistics: readonly ColumnStatistics[];
  /** Rows of earlier segments that are no longer visible, as `removalsPath` names them; absent when there are none. */
  readonly removals?: RemovedContent;
}

export interface RemovedContent {
  readonly rows: bigint;
  readonly digest: string;
  /** In the order of the table's columns. */
  readonly nulls: readonly bigint[];
}

/**
 * One shard's database. Ingest only ever appends; what is visible at a cut is worked out when it is frozen, so a freeze
 * neither stops ingest nor sees it. Two implementations keep this contract: DuckDB and the MySQL protocol;
 * `test/acceptance/shard-store.suite.ts` is the contract as tests.
 */
export interface ShardStore {
  /** Absent where nobody but this process can read the store. */
  readonly views?: SnapshotViews;
  /** What is committed, for every partition that was ever written. */
  position(): Promise<Cut>;
  /** The lowest cut that can still be frozen; partitions that it does not name can be from 0. */
  horizon(): Promise<Cut>;
  /**
   * Rows, rejects and the new position in one transaction. Compare-and-set: Fault `fenced` when the committed position
   * is not `batch.from`, and `topic-recreated` when it belongs to another topic id; then nothing is written. Fault
   * `store-failed`: nothing is written as far as is known; ask for the position before the next try.
   */
  commit(batch: IngestBatch): Promise<void>;
  rejected(): Promise<bigint>;
  /** At most `limit`, of those behind `after`, in the order of topic, partition and offset. */
  rejects(after: RecordPlace | undefined, limit: number): Promise<RejectedRecord[]>;
  /** Rejects with an offset below the cut. */
  rejectedBelow(cut: Cut): Promise<bigint>;
  /**
   * Writes what [from, to) adds to the state at `from`, as Parquet. Append tables: its rows. Upsert tables: the newest
   * record of each key, without tombstones, and which rows of the base these records replace or remove. With several
   * partitions a key is one of its partition, and the file says which. The caller has seen that `to` is committed.
   */
  writeSegment(request: SegmentRequest): Promise<SegmentContent>;
  /** Makes one segment of several without a change to what is visible; reads files only. */
  mergeSegments(request: MergeRequest): Promise<SegmentContent>;
  close(): Promise<void>;
}

/** Snapshots as views of a store that services may read: bounded by positions, so never moved by what is ingested later. */
export interface SnapshotViews {
  /** A view for each table at a committed cut; what bears the snapshot's name from a freeze that never ended is replaced. */
  publish(snapshot: string, cut: Cut): Promise<ShardViews>;
  /** Makes those of a frozen snapshot that are not there, as in a store that was built anew. */
  restore(snapshot: string, cut: Cut): Promise<void>;
  drop(snapshot: string): Promise<void>;
}
