import { type DescField, ScalarType } from "@bufbuild/protobuf";
import { valueTypeOf } from "../../../wire/value-type.ts";
import type { Column } from "./column.ts";

/** The value as a message holds it; undefined where there is none. */
export function cellOf(column: Column, field: DescField, row: number): unknown {
  if (column.has.length > 0 && column.has[row] === 0) return undefined;
  const type = valueTypeOf(field);
  switch (type.kind) {
    case "text":
      return column.text(row).toString();
    case "bytes":
      return Uint8Array.from(column.text(row));
    case "bool":
      return column.values[row] === 1;
    case "integer":
      return isLong(field) ? column.integer(row) : column.values[row];
    default:
      return column.values[row];
  }
}

function isLong(field: DescField): boolean {
  switch (field.fieldKind === "scalar" ? field.scalar : undefined) {
    case ScalarType.INT64:
    case ScalarType.UINT64:
    case ScalarType.SINT64:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return true;
    default:
      return false;
  }
}
