/**
 * Columns: what a partial says of many rows, and what a merge knows of many groups, in typed arrays.
 *
 * Integers are doubles while they are exact. Beyond 2^53 the double is NaN and the integer stands in `big`; so a loop
 * over a column compares a number with itself and needs nothing else to be exact.
 *
 *     values  3 │ 9007199254740991 │ NaN │ 0        big  2 → 9223372036854775807n
 *
 * Texts and bytes are ranges of `bytes`: of the partial itself, which is not copied, or of an arena that grows.
 */

import type { Slices } from "../../../accumulator/sliced-sort.ts";
import { grownInParts } from "./grown-in-parts.ts";

export type ColumnType = "integer" | "real" | "text";

const NONE = new Float64Array(0);
const NO_OFFSETS = new Int32Array(0);
const NO_BYTES = new Uint8Array(0);
const NO_VIEW: DataView = new DataView(NO_BYTES.buffer);

/** One class for all types, so that the loops over columns see one shape. */
export class Column {
  readonly type: ColumnType;
  readonly #isOptional: boolean;
  /** Numbers; of sums of reals the upper part. */
  values = NONE;
  /** Of sums of reals: what rounding left of `values`. */
  low = NONE;
  start = NO_OFFSETS;
  end = NO_OFFSETS;
  bytes: Uint8Array = NO_BYTES;
  /** Of the same bytes: texts are hashed and compared four bytes at a time. */
  view = NO_VIEW;
  /** How much of an arena is used. */
  used = 0;
  /** 1 where there is a value; empty where every row has one. */
  has: Uint8Array = NO_BYTES;
  /** Integers beyond 2^53, where there are any. */
  big: Map<number, bigint> | undefined;
  /** Where a value came from, for values of the lowest shard. */
  shard = NO_OFFSETS;

  constructor(type: ColumnType, isOptional: boolean) {
    this.type = type;
    this.#isOptional = isOptional;
  }

  /** Of what a partial says: no sums, no shards. */
  grow(rows: number): void {
    if (this.type === "text") {
      this.start = grown(this.start, new Int32Array(rows));
      this.end = grown(this.end, new Int32Array(rows));
    } else this.values = grown(this.values, new Float64Array(rows));
    if (this.#isOptional) this.has = grown(this.has, new Uint8Array(rows));
  }

  /** With pauses, in which nobody may write to it. New rows have the value `start`. */
  *growSlices(rows: number, parts: { low: boolean; shard: boolean; start: number }): Slices<void> {
    if (this.type === "text") {
      this.start = yield* grownInParts(this.start, new Int32Array(rows));
      this.end = yield* grownInParts(this.end, new Int32Array(rows));
    } else this.values = yield* grownInParts(this.values, new Float64Array(rows), parts.start);
    if (parts.low) this.low = yield* grownInParts(this.low, new Float64Array(rows));
    if (parts.shard) this.shard = yield* grownInParts(this.shard, new Int32Array(rows));
    if (this.#isOptional) this.has = yield* grownInParts(this.has, new Uint8Array(rows));
  }

  /** Whether so many bytes of texts can be copied into the arena as it is. */
  hasRoom(bytes: number): boolean {
    return this.used + bytes <= this.bytes.length;
  }

  /** As `growSlices`, of the arena. */
  *growTextSlices(bytes: number): Slices<void> {
    const length = Math.max(1024, 2 * this.bytes.length, this.used + bytes);
    this.readFrom(yield* grownInParts(this.bytes, new Uint8Array(length)));
  }

  /** Makes the first rows what they were before anything was written, and lets go of the partial. */
  clear(rows: number): void {
    if (this.type === "text") {
      this.start.fill(0, 0, rows);
      this.end.fill(0, 0, rows);
      this.bytes = NO_BYTES;
      this.view = NO_VIEW;
    } else this.values.fill(0, 0, rows);
    if (this.#isOptional) this.has.fill(0, 0, rows);
    this.big = undefined;
  }

  /** Texts are ranges of these bytes from now on. */
  readFrom(bytes: Uint8Array, view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)): void {
    this.bytes = bytes;
    this.view = view;
  }

  setInteger(row: number, value: bigint): void {
    if (value >= -0x1fffffffffffffn && value <= 0x1fffffffffffffn) this.values[row] = Number(value);
    else this.setWide(row, value);
  }

  /** An integer beyond 2^53. */
  setWide(row: number, value: bigint): void {
    this.values[row] = Number.NaN;
    this.big ??= new Map();
    this.big.set(row, value);
  }

  integer(row: number): bigint {
    const value = this.values[row]!;
    return Number.isNaN(value) ? this.big!.get(row)! : BigInt(value);
  }

  /** Copies a text into this column's own arena; a shorter one takes the place of the row's former. */
  setText(row: number, source: Uint8Array, start: number, end: number): void {
    const length = end - start;
    const known = this.start[row]!;
    if (length <= this.end[row]! - known) {
      this.bytes.set(source.subarray(start, end), known);
      this.end[row] = known + length;
      return;
    }
    if (this.used + length > this.bytes.length) {
      this.readFrom(grown(this.bytes, new Uint8Array(Math.max(1024, 2 * this.bytes.length, this.used + length))));
    }
    const { bytes, used } = this;
    if (length > 48) bytes.set(source.subarray(start, end), used);
    else for (let i = 0; i < length; i++) bytes[used + i] = source[start + i]!;
    this.start[row] = used;
    this.used = used + length;
    this.end[row] = this.used;
  }

  text(row: number): Buffer {
    const { buffer, byteOffset } = this.bytes;
    return Buffer.from(buffer, byteOffset + this.start[row]!, this.end[row]! - this.start[row]!);
  }
}

function grown<T extends Float64Array | Int32Array | Uint8Array>(old: T, larger: T): T {
  larger.set(old as never);
  return larger;
}
