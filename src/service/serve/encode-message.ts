import {
  create,
  type DescField,
  type DescMessage,
  type MessageInitShape,
  ScalarType,
  toBinary,
} from "@bufbuild/protobuf";
import { SLICE, type Slices } from "../../accumulator/sliced-sort.ts";
import { PieceWriter } from "../../wire/piece-writer.ts";
import type { Fields } from "./part-field.ts";
import { BYTES_PER_SLICE } from "./slice-bytes.ts";

const LENGTH_DELIMITED = 2;
/** Text of few elements that the library encodes at once in less than two milliseconds; element by element it takes half more. */
const TEXT_BYTES_AT_ONCE = 2 * 2 ** 20;

/**
 * A response message. Long lists of messages are made and encoded a slice at a time and appended to the rest, which the
 * wire format allows: fields may come in any order, and a list is its elements one after another.
 */
export function* encodeMessage(desc: DescMessage, reply: Fields): Slices<readonly Uint8Array[]> {
  const lists = desc.fields.filter((field) => isLongList(field, reply));
  if (lists.length === 0) return [toBinary(desc, create(desc, reply as MessageInitShape<DescMessage>))];
  const { $typeName: _, ...rest } = reply;
  const short = { ...rest, ...Object.fromEntries(lists.map((field) => [field.localName, []])) };
  const out = new PieceWriter();
  out.add(toBinary(desc, create(desc, short as MessageInitShape<DescMessage>)));
  for (const field of lists) {
    yield;
    yield* encodeElements(field, reply[field.localName] as readonly Fields[], out);
  }
  return out.end();
}

/** Of many elements, or of much text. */
function isLongList(field: DescField, reply: Fields): boolean {
  if (field.fieldKind !== "list" || field.listKind !== "message" || field.delimitedEncoding) return false;
  const elements = reply[field.localName];
  if (!Array.isArray(elements)) return false;
  return elements.length > SLICE || textBytes(field.message, elements) > TEXT_BYTES_AT_ONCE;
}

/** About how long strings and bytes of the elements are. */
function textBytes({ fields }: DescMessage, elements: readonly Fields[]): number {
  let bytes = 0;
  for (const field of fields) {
    if (field.fieldKind !== "scalar") continue;
    if (field.scalar !== ScalarType.BYTES && field.scalar !== ScalarType.STRING) continue;
    for (const element of elements) bytes += (element[field.localName] as Uint8Array | undefined)?.length ?? 0;
  }
  return bytes;
}

function* encodeElements(field: DescField, elements: readonly Fields[], out: PieceWriter): Slices<void> {
  const message = field.message as DescMessage;
  const tag = field.number * 8 + LENGTH_DELIMITED;
  let since = 0;
  let from = out.size;
  for (const element of elements) {
    const bytes = toBinary(message, create(message, element as MessageInitShape<DescMessage>));
    out.varint(tag);
    out.varint(bytes.length);
    out.add(bytes);
    if (++since < SLICE && out.size - from < BYTES_PER_SLICE) continue;
    since = 0;
    from = out.size;
    yield;
  }
}
