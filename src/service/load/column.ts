import { Fault } from "../../fault/fault.ts";
import type { Column, ColumnBatch, ColumnValues } from "./snapshot-reader.ts";

type ColumnOfType<T> = MemberWith<ColumnValues, T> & Pick<Column, "nulls">;
type MemberWith<C, T> = C extends { readonly type: infer U } ? (T extends U ? C : never) : never;

/**
 * The i-th column of a batch, known to be of a type and to hold no null: what a state built on typed arrays needs.
 * Fault `data-corrupt`: another type, or a null.
 */
export function requiredColumn<T extends ColumnValues["type"]>(
  batch: ColumnBatch,
  index: number,
  type: T,
  name: string,
): ColumnOfType<T> {
  const column = optionalColumn(batch, index, type, name);
  if (column.nulls !== undefined) {
    const row = column.nulls.indexOf(1);
    throw new Fault(
      "data-corrupt",
      `load column "${name}": null in row ${row} of a batch, and the service needs a value`,
    );
  }
  return column;
}

/** Like `requiredColumn`, but the caller deals with `nulls`. */
export function optionalColumn<T extends ColumnValues["type"]>(
  batch: ColumnBatch,
  index: number,
  type: T,
  name: string,
): ColumnOfType<T> {
  const column = batch.columns[index];
  if (column === undefined)
    throw new Fault("invalid-request", `load column "${name}": the batch has no column ${index}`);
  if (column.type !== type) {
    throw new Fault("data-corrupt", `load column "${name}": it is ${column.type}, and the service reads ${type}`);
  }
  return column as ColumnOfType<T>;
}
