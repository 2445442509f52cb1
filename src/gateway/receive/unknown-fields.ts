import type { DescField, DescMessage, Message } from "@bufbuild/protobuf";

/**
 * Where a message in wire format holds a field that its type does not have: `filter.2 (skynetes.v1.Filter)`. A newer
 * stub may have sent a filter that the answering version does not know; to leave it out would be an answer to another
 * question. `undefined` when every field is known.
 */
export function unknownField(desc: DescMessage, message: Message, path = ""): string | undefined {
  const [unknown] = message.$unknown ?? [];
  if (unknown !== undefined) return `${path}${unknown.no} (${desc.typeName})`;
  for (const field of desc.fields) {
    if (field.message === undefined) continue;
    for (const nested of nestedMessages(field, message)) {
      const found = unknownField(field.message, nested, `${path}${field.name}.`);
      if (found !== undefined) return found;
    }
  }
  return undefined;
}

function nestedMessages(field: DescField, message: Message): Iterable<Message> {
  const fields = message as unknown as Record<string, unknown>;
  if (field.oneof !== undefined) {
    const chosen = fields[field.oneof.localName] as { case?: string; value?: unknown } | undefined;
    return chosen?.case === field.localName ? [chosen.value as Message] : [];
  }
  const value = fields[field.localName];
  if (value === undefined) return [];
  if (field.fieldKind === "list") return value as Message[];
  if (field.fieldKind === "map") return Object.values(value as Record<string, Message>);
  // A google.protobuf.Struct stands as plain JSON in its message.
  return isMessage(value) ? [value] : [];
}

function isMessage(value: unknown): value is Message {
  return typeof value === "object" && value !== null && "$typeName" in value;
}
