/** Fields that are worked out when the answer is written: means and counts. */
import { ScalarType } from "@bufbuild/protobuf";
import type { ExactDecimal } from "../../../accumulator/decimal.ts";
import { meanOfDecimals, meanOfFloats, meanOfIntegers } from "../../../accumulator/mean.ts";
import { Fault } from "../../../fault/fault.ts";
import { hasPresence } from "../../../wire/message-field.ts";
import { realState } from "./exact-real.ts";
import type { GroupTable } from "./group-table.ts";
import type { Layout, Place } from "./layout.ts";
import type { WriteField } from "./ordered-table.ts";
import { tagOf, WIRE_TYPES, writeExactInteger, writeReal } from "./scalar-writer.ts";

export function derivedWriter(place: Extract<Place, { kind: "avg" | "count-of" }>, layout: Layout): WriteField {
  return place.kind === "avg" ? meanWriter(place, layout) : countWriter(place);
}

function meanWriter(place: Extract<Place, { kind: "avg" }>, layout: Layout): WriteField {
  const tag = tagOf(place.field, 1);
  const mean = meanReader(place, layout);
  return (sink, { table }, row) => {
    const value = mean(table, row);
    if (value === undefined) return;
    sink.copy(tag, 0, tag.length);
    writeReal(sink, false, value);
  };
}

/** The mean of a row from the sums beside it, rounded once. Faults: `bad-partial` for a negative count. */
export function meanReader(
  { field, sum, count }: Extract<Place, { kind: "avg" }>,
  layout: Layout,
): (table: GroupTable, row: number) => number | undefined {
  const countAt = slotOf(count);
  const countCheck = (table: GroupTable, row: number) => {
    const counted = table.columns[countAt]!.values[row]!;
    if (counted >= 0) return;
    const exact = table.columns[countAt]!.integer(row);
    if (exact < 0n) throw new Fault("bad-partial", `work out ${field.toString()}: the count is ${exact}`);
  };
  if (sum.kind === "box") {
    return (table, row) => {
      countCheck(table, row);
      const state = table.boxes[sum.box]![row] as ExactDecimal | undefined;
      return state && meanOfDecimals(state, table.columns[countAt]!.integer(row));
    };
  }
  const sumAt = slotOf(sum);
  const { type, isOptional } = layout.slots[sumAt]!;
  return (table, row) => {
    countCheck(table, row);
    const column = table.columns[sumAt]!;
    if (isOptional && column.has[row] === 0) return undefined;
    const counted = table.columns[countAt]!.values[row]!;
    const isShort = !Number.isNaN(counted) && !Number.isNaN(column.values[row]);
    if (isShort && (type === "integer" || column.low[row] === 0)) {
      // One division of two exact doubles is rounded once.
      return counted === 0 ? undefined : column.values[row]! / counted;
    }
    const exactCount = table.columns[countAt]!.integer(row);
    return type === "integer"
      ? meanOfIntegers(column.integer(row), exactCount)
      : meanOfFloats(realState(column, row), exactCount);
  };
}

function slotOf(place: Place): number {
  return (place as Extract<Place, { kind: "slot" }>).slot;
}

function countWriter({ field, of }: Extract<Place, { kind: "count-of" }>): WriteField {
  const codec = (field.scalar ?? ScalarType.INT32) as ScalarType;
  const tag = tagOf(field, WIRE_TYPES[codec] ?? 0);
  const isOptional = hasPresence(field);
  return (sink, from, row) => {
    const count =
      of.kind === "group"
        ? from.countOf(of.list, row)
        : ((from.boxed(row)[(of as Extract<Place, { kind: "box" }>).box] as readonly unknown[] | undefined)?.length ??
          0);
    if (count === 0 && !isOptional) return;
    sink.copy(tag, 0, tag.length);
    writeExactInteger(sink, codec, count);
  };
}
