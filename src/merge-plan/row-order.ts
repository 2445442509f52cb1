/** The order of rows and messages by some of their fields. */
import type { DescField, Message } from "@bufbuild/protobuf";
import { type ExactDecimal, parseDecimal } from "../accumulator/decimal.ts";
import {
  absentLast,
  byParts,
  compareBooleans,
  compareBytes,
  compareDecimals,
  compareDecimalsTotally,
  compareInstants,
  compareIntegers,
  compareReals,
  compareRealsTotally,
  compareText,
  type Order,
} from "../accumulator/value-order.ts";
import { Fault } from "../fault/fault.ts";
import { fieldReader } from "../wire/message-field.ts";
import { type ValueType, valueTypeOf } from "../wire/value-type.ts";
import type { SortColumn } from "./method-plan.ts";

/** `isTotal`: only what is the same in every bit compares equal. */
export function rowOrder(columns: readonly SortColumn[], isTotal = false): Order<Message> {
  return byParts(
    columns.map(({ field, descending }) => ({
      read: fieldReader(field),
      order: absentLast(valueOrder(valueTypeOf(field), isTotal), descending),
    })),
  );
}

/** Messages by their fields in the order of their numbers: what a set of messages is listed by. */
function messageOrder(fields: readonly DescField[], isTotal: boolean): Order<Message> {
  const ascending = [...fields].sort((a, b) => a.number - b.number);
  return rowOrder(
    ascending.map((field) => ({ field, descending: false })),
    isTotal,
  );
}

/**
 * Of values as messages hold them. With `isTotal` −0 comes before +0 and 1.5 before 1.50: where one of several equal
 * values is chosen, the choice must not depend on which came first.
 */
export function valueOrder(type: ValueType, isTotal = false): Order<unknown> {
  switch (type.kind) {
    case "integer":
    case "enum":
      return compareIntegers as Order<unknown>;
    case "real":
      return (isTotal ? compareRealsTotally : compareReals) as Order<unknown>;
    case "text":
      return compareText as Order<unknown>;
    case "bytes":
      return compareBytes as Order<unknown>;
    case "bool":
      return compareBooleans as Order<unknown>;
    case "instant":
      return compareInstants as Order<unknown>;
    case "decimal":
      return (a, b) => (isTotal ? compareDecimalsTotally : compareDecimals)(readDecimal(a), readDecimal(b));
    case "message":
      return messageOrder(type.message.fields, isTotal) as Order<unknown>;
    case "map":
      throw new Fault("internal", "order maps: they have no order");
  }
}

/** Faults: `bad-partial` for text that is no decimal number of at most 38 digits. */
export function readDecimal(message: unknown): ExactDecimal {
  const { value } = message as { readonly value: string };
  const decimal = parseDecimal(value);
  if (decimal === undefined)
    throw new Fault("bad-partial", `read a Decimal: ${JSON.stringify(value)} is no decimal number`);
  return decimal;
}
