import type { BatchHeader } from "./record-batch.ts";

/** One entry for about so many bytes of a segment: what a fetch from the middle reads in vain at most. */
export const INDEX_INTERVAL_BYTES = 64 * 1024;

export interface IndexEntry {
  /** Of the first record that the entry stands for. */
  readonly offset: bigint;
  readonly position: number;
  /** The greatest timestamp of all records up to the next entry. */
  readonly maxTimestampMs: number;
}

/** Where records lie in one segment, built from batch headers as far as they are durable. */
export class SegmentIndex {
  readonly baseOffset: bigint;
  #entries: IndexEntry[] = [];
  #scannedOffset: bigint;
  #scannedPosition = 0;

  constructor(baseOffset: bigint) {
    this.baseOffset = baseOffset;
    this.#scannedOffset = baseOffset;
  }

  /** The offset after the last batch known. */
  get scannedOffset(): bigint {
    return this.#scannedOffset;
  }

  get scannedPosition(): number {
    return this.#scannedPosition;
  }

  addBatch(header: BatchHeader): void {
    const last = this.#entries.at(-1);
    const { maxTimestampMs } = header;
    if (last === undefined || this.#scannedPosition - last.position >= INDEX_INTERVAL_BYTES) {
      this.#entries.push({ offset: this.#scannedOffset, position: this.#scannedPosition, maxTimestampMs });
    } else if (maxTimestampMs > last.maxTimestampMs) {
      this.#entries[this.#entries.length - 1] = { ...last, maxTimestampMs };
    }
    this.#scannedOffset += BigInt(header.count);
    this.#scannedPosition += header.byteLength;
  }

  /** A position at or before the batch that holds `offset`, which must be in this segment. */
  positionBefore(offset: bigint): number {
    let low = 0;
    let high = this.#entries.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.#entries[middle]!.offset <= offset) low = middle;
      else high = middle - 1;
    }
    return this.#entries[low]?.position ?? 0;
  }

  /** The first entry with a record at or after `timestampMs`: a record of it is the first in the segment. */
  firstEntryAt(timestampMs: number): IndexEntry | undefined {
    return this.#entries.find((entry) => entry.maxTimestampMs >= timestampMs);
  }
}
