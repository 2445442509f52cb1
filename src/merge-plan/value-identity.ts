/** What tells group keys and members of sets apart in a Map: equal exactly when the values are. */
import type { DescField, Message } from "@bufbuild/protobuf";
import type { ExactDecimal } from "../accumulator/decimal.ts";
import type { Identity } from "../accumulator/distinct.ts";
import type { Instant } from "../accumulator/value-order.ts";
import { fieldReader } from "../wire/message-field.ts";
import { type ValueType, valueTypeOf } from "../wire/value-type.ts";
import { readDecimal } from "./row-order.ts";

/** Of a message by some of its fields. One field is its own identity; several are written one after another. */
export function rowIdentity(fields: readonly DescField[]): (row: Message) => Identity {
  const parts = fields.map((field) => ({ read: fieldReader(field), identity: valueIdentity(valueTypeOf(field)) }));
  const [only] = parts;
  if (only !== undefined && parts.length === 1) return (row) => only.identity(only.read(row));
  return (row) => {
    let text = "";
    for (const { read, identity } of parts) {
      const value = identity(read(row));
      // The length in front keeps ("a", "bc") and ("ab", "c") apart.
      const part = String(value);
      text += value === undefined ? "-" : `${part.length}:${part}`;
    }
    return text;
  };
}

export function valueIdentity(type: ValueType): (value: unknown) => Identity {
  switch (type.kind) {
    case "bytes":
      return present((value) => Buffer.from(value as Uint8Array).toString("latin1"));
    case "instant":
      return present((value) => `${(value as Instant).seconds}.${(value as Instant).nanos}`);
    case "decimal":
      return present((value) => decimalIdentity(readDecimal(value)));
    case "message":
      return rowIdentity([...type.message.fields]) as (value: unknown) => Identity;
    default:
      // A Map holds NaN equal to NaN and −0 equal to +0, as their order does.
      return (value) => value as Identity;
  }
}

function present(identity: (value: unknown) => Identity): (value: unknown) => Identity {
  return (value) => (value === undefined ? undefined : identity(value));
}

/** The same for 1.5 and 1.50. */
function decimalIdentity({ units, scale }: ExactDecimal): string {
  if (units === 0n) return "0";
  let [significant, exponent] = [units, scale];
  while (significant % 10n === 0n) {
    significant /= 10n;
    exponent -= 1;
  }
  return `${significant}e${-exponent}`;
}
