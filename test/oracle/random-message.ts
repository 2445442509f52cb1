/** Random messages of any type, and the many ways in which one message can be written on the wire. */
import { create, type DescField, type DescMessage, type Message, ScalarType } from "@bufbuild/protobuf";
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { Seeded } from "./drive-merge.ts";

const TEXTS = [
  "",
  "a",
  "b",
  "ab",
  "Z",
  "é",
  "｡",
  "😀",
  "\u{10000}",
  '"quoted\\"',
  "line\nend",
  "\u0000",
  "\u2028",
  "zz".repeat(70),
];
const REALS = [0, -0, 1, 0.1, -2.5, 1e16, -1e16, 1e300, 5e-324, Number.NaN, Infinity, -Infinity];
const LONGS = [0n, 1n, -1n, 7n, 2n ** 31n, 2n ** 53n - 1n, 2n ** 53n, -(2n ** 53n) - 1n, 2n ** 62n, 2n ** 63n - 1n];

export interface MessageShape {
  /** Of lists. */
  readonly lengthMax: number;
  /** Chance that a field is set at all. */
  readonly filled: number;
  /** In place of a value made up here; undefined leaves it to this. */
  readonly value?: (field: DescField, random: Seeded) => unknown;
}

export function randomMessage(desc: DescMessage, random: Seeded, shape: MessageShape): Message {
  const values: Record<string, unknown> = {};
  for (const field of desc.fields) {
    if (random.unit() >= shape.filled) continue;
    const value = () => shape.value?.(field, random) ?? randomValue(field, random, shape);
    if (field.oneof !== undefined) values[field.oneof.localName] = { case: field.localName, value: value() };
    else if (field.fieldKind === "list") {
      values[field.localName] = Array.from({ length: random.below(shape.lengthMax + 1) }, value);
    } else if (field.fieldKind !== "map") values[field.localName] = value();
  }
  return create(desc, values);
}

function randomValue(field: DescField, random: Seeded, shape: MessageShape): unknown {
  if (field.enum !== undefined) return random.pick([...field.enum.values.map(({ number }) => number), 77]);
  if (field.message?.typeName === "skynetes.v1.Decimal") {
    return { value: random.pick(["1.5", "1.50", "-2", "0", "99999999999999999999.01"]) };
  }
  if (field.message?.typeName === "google.protobuf.Timestamp") {
    return { seconds: BigInt(random.below(3)) - 1n, nanos: random.pick([0, 120_000_000, 7]) };
  }
  if (field.message !== undefined) return randomMessage(field.message, random, shape);
  return randomScalar(field.scalar as ScalarType, random);
}

export function randomScalar(type: ScalarType, random: Seeded): unknown {
  switch (type) {
    case ScalarType.STRING:
      return random.pick(TEXTS);
    case ScalarType.BYTES:
      return Buffer.from(random.pick(TEXTS), "utf16le");
    case ScalarType.BOOL:
      return random.below(2) === 1;
    case ScalarType.DOUBLE:
      return random.pick(REALS);
    case ScalarType.FLOAT:
      return Math.fround(random.pick([0, -0, 0.1, 1.5, 3e38, Number.NaN, -Infinity]));
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
      return random.pick([0, 1, -1, 127, 128, 2 ** 31 - 1, -(2 ** 31)]);
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return random.pick([0, 1, 300, 2 ** 31, 2 ** 32 - 1]);
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return BigInt.asUintN(64, random.pick(LONGS));
    default:
      return random.pick(LONGS);
  }
}

interface WireRecord {
  readonly number: number;
  readonly type: WireType;
  readonly data: Uint8Array;
}

/**
 * Other bytes of the same message: fields in any order, scalars written twice, embedded messages in two parts, numbers
 * of a list packed, unpacked or both, varints longer than need be, and fields that nobody knows in between.
 */
export function rewritten(desc: DescMessage, bytes: Uint8Array, random: Seeded): Uint8Array {
  const known = new Map(desc.fields.map((field) => [field.number, field]));
  const byField = new Map<number, WireRecord[]>();
  for (const record of recordsOf(bytes)) {
    const field = known.get(record.number);
    const variants = field === undefined ? [record] : variantsOf(field, record, random);
    byField.set(record.number, [...(byField.get(record.number) ?? []), ...variants]);
  }
  // The order of fields is free; within one field it is not.
  const queues = [...byField.values()];
  if (random.below(2) === 0)
    queues.push([{ number: 1000 + random.below(9), type: WireType.Varint, data: Buffer.from([5]) }]);
  if (random.below(4) === 0)
    queues.push([{ number: 999, type: WireType.LengthDelimited, data: Buffer.from("\u0002ab") }]);
  const writer = new BinaryWriter();
  for (let open = queues; open.length > 0; open = open.filter((queue) => queue.length > 0)) {
    const { number, type, data } = random.pick(open).shift()!;
    writer.tag(number, type).raw(data);
  }
  return writer.finish();
}

function recordsOf(bytes: Uint8Array): WireRecord[] {
  const reader = new BinaryReader(bytes);
  const records: WireRecord[] = [];
  while (reader.pos < reader.len) {
    const [number, type] = reader.tag();
    records.push({ number, type, data: reader.skip(type, number) });
  }
  return records;
}

function variantsOf(field: DescField, record: WireRecord, random: Seeded): WireRecord[] {
  const { number, type, data } = record;
  if (field.fieldKind === "map") return [record];
  if (field.message !== undefined) return embedded(field, record, random);
  if (field.fieldKind === "list")
    return type === WireType.LengthDelimited && isPackable(field) ? repacked(field, record, random) : [record];
  if (random.below(4) > 0) return [type === WireType.Varint ? { number, type, data: longer(data, random) } : record];
  // Of a scalar that is there twice the last one counts.
  const writer = new BinaryWriter();
  if (type === WireType.Varint) writer.uint32(random.below(2));
  else if (type === WireType.LengthDelimited) writer.string("other");
  else writer.raw(new Uint8Array(data.length).fill(random.below(60)));
  // Inside of a oneof another member's record would win, so these stay alone.
  return field.oneof === undefined ? [{ number, type, data: writer.finish() }, record] : [record];
}

function embedded(field: DescField, { number, type, data }: WireRecord, random: Seeded): WireRecord[] {
  const inner = rewritten(field.message!, new BinaryReader(data).bytes(), random);
  const records =
    field.fieldKind === "list" || random.below(3) > 0 ? [recordsOf(inner)] : split(recordsOf(inner), random);
  return records.map((part) => {
    const body = new BinaryWriter();
    for (const one of part) body.tag(one.number, one.type).raw(one.data);
    return { number, type, data: new BinaryWriter().bytes(body.finish()).finish() };
  });
}

function split(records: WireRecord[], random: Seeded): WireRecord[][] {
  const at = random.below(records.length + 1);
  return [records.slice(0, at), records.slice(at)];
}

function isPackable({ scalar }: DescField): boolean {
  return scalar !== ScalarType.STRING && scalar !== ScalarType.BYTES;
}

function repacked(field: DescField, { number, data }: WireRecord, random: Seeded): WireRecord[] {
  const items = itemsOf(field, new BinaryReader(data).bytes());
  const records: WireRecord[] = [];
  const type = wireTypeOf(field);
  while (items.length > 0) {
    if (random.below(2) === 0) records.push({ number, type, data: items.shift()! });
    else {
      const some = Buffer.concat(items.splice(0, 1 + random.below(3)));
      records.push({ number, type: WireType.LengthDelimited, data: new BinaryWriter().bytes(some).finish() });
    }
  }
  return records;
}

function itemsOf(field: DescField, packed: Uint8Array): Uint8Array[] {
  const reader = new BinaryReader(packed);
  const items: Uint8Array[] = [];
  while (reader.pos < reader.len) items.push(reader.skip(wireTypeOf(field)));
  return items;
}

function wireTypeOf({ scalar }: DescField): WireType {
  switch (scalar) {
    case ScalarType.DOUBLE:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return WireType.Bit64;
    case ScalarType.FLOAT:
    case ScalarType.FIXED32:
    case ScalarType.SFIXED32:
      return WireType.Bit32;
    default:
      return WireType.Varint;
  }
}

/** The same number in more bytes than it needs. */
function longer(data: Uint8Array, random: Seeded): Uint8Array {
  if (data.length >= 9 || random.below(4) > 0) return data;
  return Buffer.from([...data.slice(0, -1), data.at(-1)! | 0x80, 0x80, 0]);
}

/** What a broken shard or line makes of bytes: some of them other, missing, or too many. */
export function damaged(bytes: Uint8Array, random: Seeded): Uint8Array {
  const copy = Buffer.from(bytes);
  switch (random.below(3)) {
    case 0:
      return copy.subarray(0, random.below(copy.length + 1));
    case 1:
      return Buffer.concat([copy, Buffer.from([random.below(256), random.below(256)])]);
    default:
      for (let i = 0; i <= random.below(3) && copy.length > 0; i++) copy[random.below(copy.length)] = random.below(256);
      return copy;
  }
}
