import { create, type DescField, type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { nextTurn } from "../../process/turn.ts";
import { PartialFormat } from "../../wire/generated/skynetes/v1/shard_pb.ts";
import type { CallContext } from "../define-service.ts";
import type { Fields } from "./part-field.ts";

/** Elements encoded in one turn of the event loop: about a microsecond each. */
const ELEMENTS_PER_SLICE = 512;

export interface EncodedPartial {
  readonly bytes: Uint8Array;
  readonly format: PartialFormat;
}

/**
 * A reply as bytes, in a format that the caller accepts: the response message, which every caller does. Long lists of messages are made and encoded a slice at a time and appended to the rest, which the
 * wire format allows: fields may come in any order, and a list is its elements one after another.
 */
export async function encodeReply(
  desc: DescMessage,
  reply: Fields,
  call: Pick<CallContext, "signal">,
  _accept: PartialFormat,
): Promise<EncodedPartial> {
  return { bytes: await encodeMessage(desc, reply, call), format: PartialFormat.UNSPECIFIED };
}

async function encodeMessage(desc: DescMessage, reply: Fields, call: Pick<CallContext, "signal">): Promise<Uint8Array> {
  const lists = desc.fields.filter((field) => isLongList(field, reply));
  if (lists.length === 0) return toBinary(desc, create(desc, reply as MessageInitShape<DescMessage>));
  const { $typeName: _, ...rest } = reply;
  const short = { ...rest, ...Object.fromEntries(lists.map((field) => [field.localName, []])) };
  const pieces: Uint8Array[] = [toBinary(desc, create(desc, short as MessageInitShape<DescMessage>))];
  for (const field of lists) {
    const elements = reply[field.localName] as readonly Fields[];
    for (let from = 0; from < elements.length; from += ELEMENTS_PER_SLICE) {
      await nextTurn(call.signal);
      pieces.push(encodeElements(field, elements.slice(from, from + ELEMENTS_PER_SLICE)));
    }
  }
  return Buffer.concat(pieces);
}

function isLongList(field: DescField, reply: Fields): boolean {
  if (field.fieldKind !== "list" || field.listKind !== "message" || field.delimitedEncoding) return false;
  const elements = reply[field.localName];
  return Array.isArray(elements) && elements.length > ELEMENTS_PER_SLICE;
}

function encodeElements(field: DescField, elements: readonly Fields[]): Uint8Array {
  const message = field.message as DescMessage;
  const writer = new BinaryWriter();
  for (const element of elements) {
    const bytes = toBinary(message, create(message, element as MessageInitShape<DescMessage>));
    writer.tag(field.number, WireType.LengthDelimited).bytes(bytes);
  }
  return writer.finish();
}
