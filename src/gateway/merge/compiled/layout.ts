/**
 * Where everything of a message stands when it is not an object: one layout for the response and one for each kind of
 * group in it, made once from a recipe.
 *
 * Fields of nested messages lie in the layout of the message around them, each with a column that says whether the
 * nested message is there: a nested message is merged field by field, and the wire may bring it in several parts.
 */
import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { FeatureSet_FieldPresence } from "@bufbuild/protobuf/wkt";
import type { FieldRecipe, MessageRecipe, SortColumn } from "../../../merge-plan/method-plan.ts";
import { hasPresence } from "../../../wire/message-field.ts";
import { valueTypeOf } from "../../../wire/value-type.ts";
import type { ColumnType } from "./column.ts";

export type SlotOperator = "sum" | "min" | "max" | "any" | "all" | "bit-or" | "first" | "key" | "present" | "ignored";

/** One column. */
export interface Slot {
  readonly index: number;
  readonly type: ColumnType;
  readonly operator: SlotOperator;
  /** Undefined for the presence of a nested message. */
  readonly field: DescField | undefined;
  readonly isOptional: boolean;
  /** The presence of the nested message that the field is in. */
  readonly guard: number | undefined;
}

type LeafRecipe = Exclude<FieldRecipe, { kind: "avg" | "count-of" | "group" | "nested" }>;

/** A field that keeps its values as messages and lists do, merged by the accumulators that the interpreter uses. */
export interface Box {
  readonly index: number;
  readonly recipe: LeafRecipe;
  /** The message that the field is in. */
  readonly message: DescMessage;
}

export interface GroupList {
  readonly index: number;
  readonly field: DescField;
  readonly layout: Layout;
}

/** A field of a message, in the order of numbers, and where it is. */
export type Place =
  | { readonly kind: "slot"; readonly field: DescField; readonly slot: number; readonly codec: ScalarType }
  | { readonly kind: "box"; readonly field: DescField; readonly box: number }
  | { readonly kind: "group"; readonly field: DescField; readonly list: number }
  | { readonly kind: "nested"; readonly field: DescField; readonly presence: number; readonly scope: Scope }
  /** Worked out when the answer is written; what shards send stands in a slot that nobody reads. */
  | {
      readonly kind: "avg";
      readonly field: DescField;
      readonly slot: number;
      readonly sum: Place;
      readonly count: Place;
    }
  | { readonly kind: "count-of"; readonly field: DescField; readonly slot: number; readonly of: Place };

export interface Scope {
  readonly message: DescMessage;
  readonly places: readonly Place[];
}

export interface Layout {
  readonly scope: Scope;
  readonly slots: readonly Slot[];
  readonly boxes: readonly Box[];
  readonly lists: readonly GroupList[];
  /** Slots that make the key of a group; none for the response. */
  readonly key: readonly Slot[];
  /** Of a sorted list: rows are not merged with each other, and listed by these. */
  readonly order: readonly { readonly slot: Slot; readonly descending: boolean }[] | undefined;
  /** About what one row takes. */
  readonly rowBytes: number;
}

/** Undefined where only the interpreter reads the message as the library does: see the README. */
export function compileLayout(recipe: MessageRecipe, key: readonly DescField[] = []): Layout | undefined {
  const builder = new LayoutBuilder(key);
  const scope = builder.scope(recipe, undefined);
  return scope && builder.finish(scope);
}

class LayoutBuilder {
  readonly #slots: Slot[] = [];
  readonly #boxes: Box[] = [];
  readonly #lists: GroupList[] = [];
  readonly #key: readonly DescField[];
  readonly #keySlots = new Map<DescField, Slot[]>();

  constructor(key: readonly DescField[]) {
    this.#key = key;
  }

  finish(scope: Scope): Layout {
    const key = this.#key.flatMap((field) => this.#keySlots.get(field)!);
    const slotBytes = this.#slots.reduce((sum, { isOptional }) => sum + (isOptional ? 9 : 8), 0);
    const rowBytes = 16 + slotBytes + 64 * this.#boxes.length;
    const lists = this.#lists;
    return { scope, slots: this.#slots, boxes: this.#boxes, lists, key, order: undefined, rowBytes };
  }

  scope({ message, fields }: MessageRecipe, guard: number | undefined): Scope | undefined {
    const places = new Map<DescField, Place>();
    for (const recipe of fields) {
      if (recipe.kind === "avg" || recipe.kind === "count-of") continue;
      const place = this.#place(recipe, message, guard);
      if (place === undefined) return undefined;
      places.set(recipe.field, place);
    }
    for (const recipe of fields) {
      if (recipe.kind !== "avg" && recipe.kind !== "count-of") continue;
      if (!isPlain(recipe.field)) return undefined;
      const { field } = recipe;
      const { index: slot } = this.#slot({ type: columnType(field)!, operator: "ignored", field, guard });
      if (recipe.kind === "count-of") places.set(field, { kind: "count-of", field, slot, of: places.get(recipe.of)! });
      else {
        const [sum, count] = [places.get(recipe.sum)!, places.get(recipe.count)!];
        places.set(field, { kind: "avg", field, slot, sum, count });
      }
    }
    const sorted = [...places.values()].sort((a, b) => a.field.number - b.field.number);
    return { message, places: sorted };
  }

  #place(recipe: Exclude<FieldRecipe, { kind: "avg" | "count-of" }>, around: DescMessage, guard: number | undefined) {
    const { field } = recipe;
    if (!isPlain(field)) return undefined;
    if (recipe.kind === "nested") return this.#nested(field, recipe.recipe);
    if (recipe.kind === "group") {
      const layout = compileLayout(recipe.element, recipe.key);
      if (layout === undefined) return undefined;
      const index = this.#lists.push({ index: this.#lists.length, field, layout }) - 1;
      return { kind: "group", field, list: index } satisfies Place;
    }
    if (recipe.kind === "sorted" && isFlatMessage(field.message!)) {
      const layout = sortedLayout(field.message!, recipe.by);
      const index = this.#lists.push({ index: this.#lists.length, field, layout }) - 1;
      return { kind: "group", field, list: index } satisfies Place;
    }
    if (recipe.kind === "key" && field.message !== undefined) return this.#instantKey(field);
    const type = columnType(field);
    if (type === undefined || !isSlotOperator(recipe.kind)) {
      const index = this.#boxes.push({ index: this.#boxes.length, recipe, message: around }) - 1;
      return { kind: "box", field, box: index } satisfies Place;
    }
    const slot = this.#slot({ type, operator: recipe.kind, field, guard });
    if (recipe.kind === "key") this.#keySlots.set(field, [slot]);
    return { kind: "slot", field, slot: slot.index, codec: codecOf(field) } satisfies Place;
  }

  #slot(slot: Omit<Slot, "index" | "isOptional">): Slot {
    const isOptional = slot.operator !== "present" && slot.field !== undefined && hasPresence(slot.field);
    const made = { ...slot, isOptional, index: this.#slots.length };
    this.#slots.push(made);
    return made;
  }

  #nested(field: DescField, recipe: MessageRecipe): Place | undefined {
    const presence = this.#slot({ type: "integer", operator: "present", field: undefined, guard: undefined }).index;
    const scope = this.scope(recipe, presence);
    return scope && { kind: "nested", field, presence, scope };
  }

  /** Timestamps and Durations, by their fields. */
  #instantKey(field: DescField): Place {
    const message = field.message!;
    const presence = this.#slot({ type: "integer", operator: "key", field: undefined, guard: undefined });
    const parts = [...message.fields].sort((a, b) => a.number - b.number);
    const slots = parts.map((part) => this.#slot({ type: "integer", operator: "key", field: part, guard: undefined }));
    this.#keySlots.set(field, [presence, ...slots]);
    const places = parts.map((part, at): Place => {
      return { kind: "slot", field: part, slot: slots[at]!.index, codec: codecOf(part) };
    });
    return { kind: "nested", field, presence: presence.index, scope: { message, places } };
  }
}

/** Rows of a sorted list: all of their fields are kept as they are. */
function sortedLayout(message: DescMessage, by: readonly SortColumn[]): Layout {
  const fields = [...message.fields].sort((a, b) => a.number - b.number);
  const slots = fields.map((field, index): Slot => {
    const isOptional = hasPresence(field);
    return { index, type: columnType(field)!, operator: "key", field, isOptional, guard: undefined };
  });
  const places = fields.map((field, slot): Place => ({ kind: "slot", field, slot, codec: codecOf(field) }));
  const order = by.map(({ field, descending }) => ({ slot: slots[fields.indexOf(field)]!, descending }));
  return { scope: { message, places }, slots, boxes: [], lists: [], key: [], order, rowBytes: 16 + 9 * slots.length };
}

function isFlatMessage({ fields }: DescMessage): boolean {
  return fields.every((field) => {
    return field.oneof === undefined && columnType(field) !== undefined && isPlain(field);
  });
}

/** Read by number alone: no delimited messages, no closed enums, no required fields, no text that need not be UTF-8. */
function isPlain(field: DescField): boolean {
  if (field.enum?.open === false || field.presence === FeatureSet_FieldPresence.LEGACY_REQUIRED) return false;
  if (field.message !== undefined && field.fieldKind !== "map" && field.delimitedEncoding) return false;
  return field.fieldKind !== "scalar" || field.scalar !== ScalarType.STRING || field.utf8Validation;
}

function columnType(field: DescField): ColumnType | undefined {
  if (field.fieldKind === "enum") return "integer";
  if (field.fieldKind !== "scalar") return undefined;
  switch (valueTypeOf(field).kind) {
    case "integer":
    case "bool":
      return "integer";
    case "real":
      return "real";
    default:
      return "text";
  }
}

function codecOf(field: DescField): ScalarType {
  return field.fieldKind === "scalar" ? field.scalar : ScalarType.INT32;
}

const SLOT_OPERATORS: ReadonlySet<string> = new Set(["sum", "min", "max", "any", "all", "bit-or", "first", "key"]);

function isSlotOperator(kind: FieldRecipe["kind"]): kind is "sum" | "min" | "max" | "any" | "all" | "first" | "key" {
  return SLOT_OPERATORS.has(kind);
}
