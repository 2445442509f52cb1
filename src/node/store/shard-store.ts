import type { Cut } from "../../mesh/cut.ts";

/** A row that passed its table's decoder: one value per column, in the table's column order; `null` for a tombstone's. */
export interface DecodedRecord {
  readonly table: string;
  readonly partition: number;
  readonly offset: bigint;
  /** `undefined` removes the key (upsert tables); `key` then tells which. */
  readonly values: readonly StoreValue[];
  readonly tombstone: boolean;
}

/** By type: BOOLEAN boolean; INT32, DATE (days) number; INT64, TIMESTAMP (µs), DECIMAL (unscaled) bigint; DOUBLE number. */
export type StoreValue = boolean | number | bigint | string | Uint8Array | null;

export interface RejectedRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
  readonly timestampMs: number;
  readonly reason: string;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
}

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

/**
 * One shard's database. Ingest only ever appends; what is visible at a cut is worked out when it is frozen. Two
 * implementations keep this contract: DuckDB, and (later) the MySQL protocol.
 */
export interface ShardStore {
  /** What is committed, for every partition that was ever written. */
  position(): Promise<Cut>;
  /**
   * Rows, rejects and the new position in one transaction. Compare-and-set: Fault `fenced` when the committed position
   * is not `batch.from`, and then nothing is written.
   */
  commit(batch: IngestBatch): Promise<void>;
  rejected(): Promise<bigint>;
  close(): Promise<void>;
}
