/**
 * The accumulator of a message: one state for each field, means and counts worked out from their siblings at the end.
 *
 * This is the interpreter of merge plans. It reads whole messages, so it is also the oracle for a faster way that
 * decodes straight into states.
 */
import { create, type DescField, type Message } from "@bufbuild/protobuf";
import type { Accumulator } from "../../accumulator/accumulator.ts";
import type { ExactDecimal } from "../../accumulator/decimal.ts";
import type { FloatSumState } from "../../accumulator/float-sum.ts";
import { group } from "../../accumulator/group.ts";
import { meanOfDecimals, meanOfFloats, meanOfIntegers } from "../../accumulator/mean.ts";
import { SLICE, type Slices, unsliced } from "../../accumulator/sliced-sort.ts";
import { absentLast, byParts, type Order } from "../../accumulator/value-order.ts";
import { Fault } from "../../fault/fault.ts";
import type { FieldRecipe, MessageRecipe } from "../../merge-plan/method-plan.ts";
import { valueOrder } from "../../merge-plan/row-order.ts";
import { rowIdentity } from "../../merge-plan/value-identity.ts";
import { fieldReader, fieldWriter, hasPresence, setFieldReader } from "../../wire/message-field.ts";
import { valueTypeOf } from "../../wire/value-type.ts";
import { type FieldAccumulator, leafAccumulator, type MergeContext } from "./field-accumulator.ts";

/** By position of the field in the recipe; undefined as long as no partial had a value. */
export type MessageState = unknown[];

export interface MessageAccumulator extends Accumulator<MessageState, Message, Message> {
  addSlices(state: MessageState, message: Message, shard: number): Slices<void>;
  finishSlices(state: MessageState): Slices<Message>;
}

type MergedRecipe = Exclude<FieldRecipe, { kind: "avg" | "count-of" }>;
type AvgRecipe = Extract<FieldRecipe, { kind: "avg" }>;

/** `replaced`: an accumulator to use for one field instead of what its recipe says. */
export function messageAccumulator(
  recipe: MessageRecipe,
  context: MergeContext,
  replaced?: { readonly field: DescField; readonly accumulator: FieldAccumulator },
): MessageAccumulator {
  const mergedField = (field: MergedRecipe, index: number) => ({
    index,
    read: field.kind === "first" ? setFieldReader(field.field) : fieldReader(field.field),
    write: fieldWriter(field.field),
    accumulator: field.field === replaced?.field ? replaced.accumulator : fieldAccumulator(field, context),
    // Without presence the value over nothing is the operator's, such as zero; with presence it is none.
    isOptional: hasPresence(field.field),
  });
  const merged = recipe.fields.flatMap((field, index) =>
    field.kind === "avg" || field.kind === "count-of" ? [] : [mergedField(field, index)],
  );
  const derived = recipe.fields.flatMap((field) => derivedField(field, recipe) ?? []);

  function* addSlices(state: MessageState, message: Message, shard: number): Slices<void> {
    for (const { index, read, accumulator } of merged) {
      const value = read(message);
      if (value === undefined) continue;
      let known = state[index] ?? accumulator.empty();
      if (Array.isArray(value) && value.length > SLICE) {
        // A list may be added piece by piece.
        for (let start = 0; start < value.length; start += SLICE) {
          known = accumulator.add(known, value.slice(start, start + SLICE), shard);
          state[index] = known;
          yield;
          known = state[index];
        }
      } else state[index] = accumulator.add(known, value, shard);
    }
  }

  function* finishSlices(state: MessageState): Slices<Message> {
    const message = create(recipe.message);
    for (const { index, accumulator, write, isOptional } of merged) {
      if (state[index] === undefined && isOptional) continue;
      const last = state[index] ?? accumulator.empty();
      const value = accumulator.finishSlices ? yield* accumulator.finishSlices(last) : accumulator.finish(last);
      if (value !== undefined) write(message, value);
    }
    for (const derive of derived) derive(message, state);
    return message;
  }

  return {
    empty: () => new Array(recipe.fields.length).fill(undefined),
    add(state, message, shard) {
      for (const { index, read, accumulator } of merged) {
        const value = read(message);
        if (value !== undefined) state[index] = accumulator.add(state[index] ?? accumulator.empty(), value, shard);
      }
      return state;
    },
    addSlices,
    merge(a, b) {
      for (const { index, accumulator } of merged) {
        if (b[index] === undefined) continue;
        a[index] = a[index] === undefined ? b[index] : accumulator.merge(a[index], b[index]);
      }
      return a;
    },
    finish: (state) => unsliced(finishSlices(state)),
    finishSlices,
  };
}

function fieldAccumulator(recipe: MergedRecipe, context: MergeContext): FieldAccumulator {
  switch (recipe.kind) {
    case "nested":
      return messageAccumulator(recipe.recipe, context) as unknown as FieldAccumulator;
    case "group":
      return group({
        identityOf: rowIdentity(recipe.key),
        element: messageAccumulator(recipe.element, context),
        order: keyOrder(recipe.element, recipe.key),
        onNew: context.budget.hold,
      }) as unknown as FieldAccumulator;
    default:
      return leafAccumulator(recipe, context);
  }
}

/** Groups by key ascending, its first field first; the states of key fields are the keys. */
export function keyOrder(element: MessageRecipe, key: readonly DescField[]): Order<MessageState> {
  return byParts(
    key.map((field) => {
      const index = element.fields.findIndex((recipe) => recipe.field === field);
      return {
        read: (state: MessageState) => state[index],
        order: absentLast(valueOrder(valueTypeOf(field)), false),
      };
    }),
  );
}

type Derivation = (message: Message, state: MessageState) => void;

function derivedField(recipe: FieldRecipe, around: MessageRecipe): Derivation | undefined {
  if (recipe.kind === "avg") {
    const mean = meanReader(recipe, around);
    const write = fieldWriter(recipe.field);
    return (message, state) => {
      const value = mean(state);
      if (value !== undefined) write(message, value);
    };
  }
  if (recipe.kind === "count-of") {
    const read = fieldReader(recipe.of);
    const write = fieldWriter(recipe.field);
    return (message) => write(message, BigInt((read(message) as readonly unknown[]).length));
  }
  return undefined;
}

/** The mean from its siblings' states. Faults: `bad-partial` for a negative count. */
export function meanReader(recipe: AvgRecipe, around: MessageRecipe): (state: MessageState) => number | undefined {
  const sumAt = around.fields.findIndex(({ field }) => field === recipe.sum);
  const countAt = around.fields.findIndex(({ field }) => field === recipe.count);
  const { kind } = valueTypeOf(recipe.sum);
  return (state) => {
    const sum = state[sumAt];
    const count = (state[countAt] ?? 0n) as bigint;
    if (count < 0n) throw new Fault("bad-partial", `work out ${recipe.field.toString()}: the count is ${count}`);
    if (sum === undefined) return undefined;
    if (kind === "integer") return meanOfIntegers(sum as bigint, count);
    return kind === "real" ? meanOfFloats(sum as FloatSumState, count) : meanOfDecimals(sum as ExactDecimal, count);
  };
}
