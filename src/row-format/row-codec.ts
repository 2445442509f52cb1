import type { RowValue } from "./row-value.ts";

/** From the values of a topic's records to the values of its table's columns, in the columns' order. */
export interface RowReader {
  /** Throws `RowReject`. */
  read(value: Uint8Array): RowValue[];
}

/** And back, for formats with a schema. */
export interface RowCodec extends RowReader {
  /** Throws `RowReject`: a value does not fit its field. */
  write(values: readonly RowValue[]): Uint8Array;
}

/** What keeps a table from being made of a topic's records: of one column, or of the schema as a whole. */
export interface Misfit {
  readonly column?: string;
  readonly reason: string;
}
