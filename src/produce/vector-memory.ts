import assert from "node:assert/strict";
import { DuckDBBlobVector, type DuckDBDataChunk } from "@duckdb/node-api";

/**
 * A column of a chunk as the memory it is: a typed array and which items are there. The driver's public way is an
 * object for each value; over three million rows that is most of the time a load takes. Its types call these fields
 * private, so what is found is checked for once a chunk, and an update that moves them fails loudly.
 */
export interface VectorMemory<Items> {
  readonly items: Items;
  isValid(row: number): boolean;
}

type ItemsClass<Items> = new (length: number) => Items;

export function vectorMemory<Items extends ArrayLike<unknown>>(
  chunk: DuckDBDataChunk,
  index: number,
  itemsClass: ItemsClass<Items>,
): VectorMemory<Items> {
  const { items, validity } = chunk.getColumnVector(index) as unknown as Partial<Internals>;
  assert(items instanceof itemsClass && items.length >= chunk.rowCount, `column ${index} is no ${itemsClass.name}`);
  assert(typeof validity?.itemValid === "function", `column ${index} does not tell which items are null`);
  return { items, isValid: (row) => validity.itemValid(row) };
}

/** Bytes of a BLOB column: views where the item is short, copies where it is long; good while the chunk lives. */
export function vectorBytes(chunk: DuckDBDataChunk, index: number): (row: number) => Uint8Array | null {
  const vector = chunk.getColumnVector(index);
  assert(vector instanceof DuckDBBlobVector, `column ${index} is not BLOB`);
  return (row) => vector.getItemBytes(row);
}

interface Internals {
  readonly items: unknown;
  readonly validity: { itemValid(row: number): boolean };
}
