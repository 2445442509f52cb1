import { create, type DescField, isMessage, type Message } from "@bufbuild/protobuf";
import { fieldReader, hasPresence } from "../../wire/message-field.ts";
import { valueTypeOf } from "../../wire/value-type.ts";

/** Fields of a message or of what a message is made from, by their names in TypeScript. */
export type Fields = Readonly<Record<string, unknown>>;

/**
 * Reads a field of a group as a handler gives it: a message, or the plain object that one is made from. A shard may have
 * a hundred thousand groups and send twelve, so they are read before messages are made of them. The value is what
 * `fieldReader` would read in the message.
 */
export function partFieldReader(field: DescField): (part: Fields) => unknown {
  const ofMessage = fieldReader(field);
  const ofInit = initReader(field);
  return (part) => (isMessage(part) ? ofMessage(part) : ofInit(part));
}

function initReader(field: DescField): (part: Fields) => unknown {
  const name = field.localName;
  const type = valueTypeOf(field);
  const isLong = type.kind === "integer" && type.max > 2n ** 32n;
  const unset = hasPresence(field) ? undefined : fieldReader(field)(create(field.parent));
  return (part) => {
    const value = part[name];
    if (value === undefined || value === null) return unset;
    if (isLong) return BigInt(value as bigint | number | string);
    return field.fieldKind === "message" && !isMessage(value) ? create(field.message, value as Message) : value;
  };
}
