/**
 * One shard's part of a group, as the search for the first groups looks at it: an object with the few fields that rank
 * it, made when it is looked at. The parts themselves stay in their columns.
 */
import type { DescField, Message } from "@bufbuild/protobuf";
import type { GroupOrder, MessageRecipe } from "../../../merge-plan/method-plan.ts";
import type { Batch } from "./batch.ts";
import { cellOf } from "./cell-value.ts";
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
