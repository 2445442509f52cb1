import type { DescField, DescMessage, DescService } from "@bufbuild/protobuf";

/**
 * Several versions of a service are served under one name, and clients know one set of descriptors: the newest. So an
 * older or newer version must speak the same wire format: a client's stub must work against every snapshot. The rules
 * are those of `buf breaking` that concern the wire and JSON: fields keep number, name, type and cardinality, methods
 * stay and keep their messages. New fields and new methods are welcome.
 *
 * Returns what breaks, in words; empty when `newer` may stand for `older`.
 */
export function breakingDifferences(older: DescService, newer: DescService): readonly string[] {
  const found: string[] = [];
  const compared = new Set<string>();
  for (const method of older.methods) {
    const now = newer.methods.find((m) => m.name === method.name);
    const name = `${older.typeName}/${method.name}`;
    if (now === undefined) {
      found.push(`method ${name} is gone`);
      continue;
    }
    if (now.methodKind !== method.methodKind)
      found.push(`method ${name} was ${method.methodKind}, is ${now.methodKind}`);
    compareMessages(method.input, now.input, compared, found);
    compareMessages(method.output, now.output, compared, found);
  }
  return found;
}

function compareMessages(older: DescMessage, newer: DescMessage, compared: Set<string>, found: string[]): void {
  if (older.typeName !== newer.typeName) {
    found.push(`message ${older.typeName} became ${newer.typeName}`);
    return;
  }
  if (compared.has(older.typeName)) return;
  compared.add(older.typeName);
  for (const field of older.fields) {
    const now = newer.fields.find((f) => f.number === field.number);
    const name = `${older.typeName}.${field.name}`;
    if (now === undefined) {
      const reserved = newer.proto.reservedRange.some((r) => field.number >= r.start && field.number < r.end);
      if (!reserved) found.push(`field ${name} (${field.number}) is gone and its number is not reserved`);
      continue;
    }
    if (now.jsonName !== field.jsonName) found.push(`field ${name} (${field.number}) is now called ${now.name}`);
    const was = fieldType(field);
    const is = fieldType(now);
    if (was !== is) found.push(`field ${name} was ${was}, is ${is}`);
    else if (field.message !== undefined && now.message !== undefined) {
      compareMessages(field.message, now.message, compared, found);
    } else if (field.enum !== undefined && now.enum !== undefined) {
      for (const value of field.enum.values) {
        const same = now.enum.values.find((v) => v.number === value.number);
        if (same?.name !== value.name)
          found.push(`value ${value.name} (${value.number}) of ${field.enum.typeName} changed`);
      }
    }
  }
}

/** Type, cardinality and presence, as text to compare and to show. */
function fieldType(field: DescField): string {
  const kind = field.fieldKind;
  const of = (f: {
    message?: DescMessage | undefined;
    enum?: { typeName: string } | undefined;
    scalar?: number | undefined;
  }) => f.message?.typeName ?? f.enum?.typeName ?? `scalar ${f.scalar}`;
  if (kind === "list") return `repeated ${of(field)}`;
  if (kind === "map") return `map<${field.mapKey}, ${of(field)}>`;
  const oneof = field.oneof === undefined ? "" : ` in oneof ${field.oneof.name}`;
  return of(field) + oneof;
}
