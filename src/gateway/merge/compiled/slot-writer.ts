import { ScalarType } from "@bufbuild/protobuf";
import { Fault } from "../../../fault/fault.ts";
import type { ByteSink } from "../../../wire/byte-sink.ts";
import { type ValueType, valueTypeOf } from "../../../wire/value-type.ts";
import type { Column } from "./column.ts";
import { finishReal } from "./exact-real.ts";
import type { Slot } from "./layout.ts";
import type { WriteField } from "./ordered-table.ts";
import { tagOf, WIRE_TYPES, writeInteger, writeReal, writeVarint32 } from "./scalar-writer.ts";

/** Writes what a column has of a row: nothing where the field is not set, or is zero and has no presence. */
export function slotWriter(slot: Slot, codec: ScalarType): WriteField {
  const tag = tagOf(slot.field!, WIRE_TYPES[codec] ?? 0);
  const write = valueWriter(slot, codec, tag);
  const { index, isOptional } = slot;
  return (sink, { table }, row) => {
    const column = table.columns[index]!;
    if (!isOptional || column.has[row] === 1) write(sink, column, row);
  };
}

type WriteValue = (sink: ByteSink, column: Column, row: number) => void;

function valueWriter({ operator, type, field, isOptional }: Slot, codec: ScalarType, tag: Uint8Array): WriteValue {
  if (type === "text") {
    return (sink, column, row) => {
      const [start, end] = [column.start[row]!, column.end[row]!];
      if (start === end && !isOptional) return;
      sink.copy(tag, 0, tag.length);
      writeVarint32(sink, end - start);
      sink.copy(column.bytes, start, end);
    };
  }
  if (type === "real") {
    const isSingle = codec === ScalarType.FLOAT;
    return (sink, column, row) => {
      const value = operator === "sum" ? finishReal(column, row, isSingle) : column.values[row]!;
      if (!isOptional && Object.is(value, 0)) return;
      sink.copy(tag, 0, tag.length);
      writeReal(sink, isSingle, value);
    };
  }
  const check = operator === "sum" ? rangeCheck(valueTypeOf(field!)) : undefined;
  return (sink, column, row) => {
    check?.(column, row);
    if (!isOptional && column.values[row] === 0) return;
    sink.copy(tag, 0, tag.length);
    writeInteger(sink, codec, column, row);
  };
}

/** Faults: `overflow` for a sum that its type does not hold. */
function rangeCheck(type: ValueType): (column: Column, row: number) => void {
  if (type.kind !== "integer") return () => {};
  const [least, greatest] = [Number(type.min), Number(type.max)];
  return (column, row) => {
    const value = column.values[row]!;
    if (value >= least && value <= greatest) return;
    const sum = column.integer(row);
    if (sum < type.min || sum > type.max) throw new Fault("overflow", `sum ${sum} does not fit ${type.name}`);
  };
}
