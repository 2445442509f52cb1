import { create, type DescField, type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { MethodPlan } from "../../merge-plan/method-plan.ts";
import type { Clock } from "../../process/clock.ts";
import { inSlices, nextTurn } from "../../process/turn.ts";
import { PartialFormat } from "../../wire/generated/skynetes/v1/shard_pb.ts";
import { encodeColumns } from "./encode-columns.ts";
import type { Fields } from "./part-field.ts";

/** Elements encoded in one turn of the event loop: about a microsecond each. */
const ELEMENTS_PER_SLICE = 512;

export interface EncodedPartial {
  readonly bytes: Uint8Array;
  readonly format: PartialFormat;
}

/** A reply as bytes, in a format that the caller accepts: the response message, which every caller does, or columns. */
export async function encodeReply(
  plan: MethodPlan,
  reply: Fields,
  { signal, clock }: { readonly signal: AbortSignal; readonly clock: Clock },
  accept: PartialFormat,
): Promise<EncodedPartial> {
  if (accept === PartialFormat.COLUMNS) {
    const bytes = await inSlices(encodeColumns(plan, reply), clock, signal);
    if (bytes !== undefined) return { bytes, format: PartialFormat.COLUMNS };
  }
  return { bytes: await encodeMessage(plan.method.output, reply, signal), format: PartialFormat.UNSPECIFIED };
}

/**
 * Long lists of messages are made and encoded a slice at a time and appended to the rest, which the wire format allows:
 * fields may come in any order, and a list is its elements one after another.
 */
async function encodeMessage(desc: DescMessage, reply: Fields, signal: AbortSignal): Promise<Uint8Array> {
  const lists = desc.fields.filter((field) => isLongList(field, reply));
  if (lists.length === 0) return toBinary(desc, create(desc, reply as MessageInitShape<DescMessage>));
  const { $typeName: _, ...rest } = reply;
  const short = { ...rest, ...Object.fromEntries(lists.map((field) => [field.localName, []])) };
  const pieces: Uint8Array[] = [toBinary(desc, create(desc, short as MessageInitShape<DescMessage>))];
  for (const field of lists) {
    const elements = reply[field.localName] as readonly Fields[];
    for (let from = 0; from < elements.length; from += ELEMENTS_PER_SLICE) {
      await nextTurn(signal);
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
