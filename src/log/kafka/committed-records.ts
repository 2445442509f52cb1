import type { LogRecord } from "../log.ts";
import { BatchDamage, decodeRecords, endsTransaction, isControl, isTransactional, readBatch } from "./record-batch.ts";

/** Transactions that were taken back: all batches of the producer from `firstOffset` to its next marker. */
export interface AbortedTransaction {
  readonly producerId: bigint;
  readonly firstOffset: bigint;
}

/**
 * The committed records of a broker's answer, from `from` on, and the offset after its last whole batch. Three things in
 * an answer are no records: what lies before the offset that was asked for, since brokers send whole batches; markers of
 * transactions, each of which has an offset; and records of transactions that were taken back, which the broker sends
 * with a list of them. Throws `BatchDamage`.
 */
export function committedRecords(
  bytes: Buffer,
  aborted: readonly AbortedTransaction[],
  from: bigint,
): { readonly records: LogRecord[]; readonly nextOffset: bigint } {
  const records: LogRecord[] = [];
  const waiting = aborted.toSorted((a, b) => (a.firstOffset < b.firstOffset ? -1 : 1));
  const takenBack = new Set<bigint>();
  let nextOffset = from;
  let position = 0;
  for (let batch = readBatch(bytes, position); batch !== undefined; batch = readBatch(bytes, position)) {
    while (waiting[0] !== undefined && waiting[0].firstOffset <= batch.lastOffset) {
      takenBack.add(waiting.shift()!.producerId);
    }
    if (isControl(batch)) {
      if (endsTransaction(bytes, position, batch) === "abort") takenBack.delete(batch.producerId);
    } else if (!isTransactional(batch) || !takenBack.has(batch.producerId)) {
      decodeRecords(bytes, position, batch, from, records);
    }
    if (batch.lastOffset >= nextOffset) nextOffset = batch.lastOffset + 1n;
    position += batch.byteLength;
  }
  // Brokers send at least one batch whole, whatever its size; more may be cut off.
  if (position === 0 && bytes.length > 0)
    throw new BatchDamage(`an answer of ${bytes.length} bytes holds no whole batch`);
  return { records, nextOffset };
}
