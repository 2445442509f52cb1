/**
 * One shard's part of a group, as the search for the first groups looks at it: an object with the few fields that rank
 * it, made when it is looked at. The parts themselves stay in their columns.
 */
import type { DescField, Message } from "@bufbuild/protobuf";
import { ScalarType } from "@bufbuild/protobuf";
import type { GroupOrder, MessageRecipe } from "../../../merge-plan/method-plan.ts";
import { valueTypeOf } from "../../../wire/value-type.ts";
import type { Batch } from "./batch.ts";
import type { Column } from "./column.ts";
import type { Layout } from "./layout.ts";

export type PartReader = (groups: Batch, row: number) => Message;

export function partReader(element: MessageRecipe, layout: Layout, { field }: GroupOrder): PartReader {
  const recipe = element.fields.find((one) => one.field === field)!;
  const fields = recipe.kind === "avg" ? [recipe.sum, recipe.count] : [field];
  const readers = fields.map((one) => ({ name: one.localName, read: valueReader(one, layout) }));
  return (groups, row) => {
    const part: Record<string, unknown> = {};
    for (const { name, read } of readers) {
      const value = read(groups, row);
      if (value !== undefined) part[name] = value;
    }
    return part as unknown as Message;
  };
}

function valueReader(field: DescField, layout: Layout): (groups: Batch, row: number) => unknown {
  const place = layout.scope.places.find((one) => one.field === field)!;
  if (place.kind === "box") return boxReader(place.box);
  const { slot } = place as Extract<typeof place, { kind: "slot" }>;
  return (groups, row) => cellOf(groups.columns[slot]!, field, row);
}

/** Boxes list their values row by row. */
function boxReader(box: number): (groups: Batch, row: number) => unknown {
  const indexes = new WeakMap<Batch, Map<number, unknown>>();
  return (groups, row) => {
    const known = indexes.get(groups) ?? new Map(groups.boxes[box]!.map(({ row: at, value }) => [at, value]));
    indexes.set(groups, known);
    return known.get(row);
  };
}

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
