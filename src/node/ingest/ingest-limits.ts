/** How much is read and committed at once. */
export interface IngestLimits {
  /** A batch is committed when it has so many rows, … */
  readonly batchRowsMax: number;
  /** … so many bytes of records, … */
  readonly batchBytesMax: number;
  /** … or is so old; sooner when the log has nothing more. */
  readonly batchAgeMaxMs: number;
  readonly fetchBytes: number;
  /** Of a partition that has nothing more, while it waits for a record. */
  readonly pollBytes: number;
  /**
   * Keys and values that a node holds between the log and its stores, all partitions together. A log gives whole batches,
   * so each partition may be one of these above it.
   */
  readonly heldBytesMax: number;
  /** How long the log may wait for a record. */
  readonly fetchWaitMs: number;
  /** Between tries after a failure: grows from the first to the second, each with up to half of it left out at random. */
  readonly retryFirstMs: number;
  readonly retryMaxMs: number;
}

export const INGEST_LIMITS: IngestLimits = {
  // A commit costs a sync of the disk whatever its size, which beyond 20,000 rows hardly shows, while a batch takes about
  // 500 bytes of memory a row and every partition of every shard may hold one.
  batchRowsMax: 20_000,
  batchBytesMax: 8 << 20,
  batchAgeMaxMs: 200,
  fetchBytes: 1 << 20,
  // A thousand partitions wait for records at once without one waiting for its turn to.
  pollBytes: 64 << 10,
  heldBytesMax: 64 << 20,
  fetchWaitMs: 1_000,
  retryFirstMs: 50,
  retryMaxMs: 5_000,
};
