import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { RepeatedText } from "./converse/repeated-text.ts";
import { WireReader } from "./converse/wire-reader.ts";
import { bytesSize, messageSize, numberSize, varintSize, WireWriter } from "./converse/wire-writer.ts";
import { type Scalar, type TopBounds, TopBoundsSchema } from "./generated/skynetes/v1/stamp_pb.ts";

/**
 * Bounds come with every partial of a top list, sixteen and more for an answer, and most are a name, one or two whole
 * numbers and a flag. Those are read and written here; every other form (a double, a decimal, a field twice, out of order
 * or unknown, a number beyond 2^53) goes through the library, which is always right and takes ten times as long.
 */
const TAG = { field: 0x0a, kth: 0x12, last: 0x1a, exhausted: 0x20, groups: 0x28 };
const SCALAR_TAG = { integer: 0x08, unsigned: 0x10 };
const SAFE = BigInt(Number.MAX_SAFE_INTEGER);
/** Greater ones do not stay exact when their sign is folded in. */
const ZIGZAG_SAFE = 2n ** 52n;

const texts = new RepeatedText();
type Value = Scalar["value"];

/** What `fromBinary` gives, but for fields that are not known. Throws what it throws. */
export function readTopBounds(bytes: Uint8Array): TopBounds {
  return plainBounds(bytes) ?? fromBinary(TopBoundsSchema, bytes);
}

function plainBounds(bytes: Uint8Array): TopBounds | undefined {
  const bounds: TopBounds = { $typeName: "skynetes.v1.TopBounds", field: "", exhausted: false, groups: 0n };
  try {
    const reader = new WireReader(bytes, "bad-partial");
    let before = 0;
    while (reader.more) {
      const tag = reader.tag();
      if (tag <= before) return undefined;
      before = tag;
      if (tag === TAG.field) bounds.field = reader.text(texts);
      else if (tag === TAG.kth || tag === TAG.last) {
        const scalar = plainScalar(reader);
        if (scalar === undefined) return undefined;
        if (tag === TAG.kth) bounds.kth = scalar;
        else bounds.last = scalar;
      } else {
        const number = reader.uint64();
        if (tag === TAG.exhausted && number <= 1) bounds.exhausted = number === 1;
        else if (tag === TAG.groups && Number.isSafeInteger(number)) bounds.groups = BigInt(number);
        else return undefined;
      }
    }
  } catch {
    return undefined;
  }
  return bounds;
}

function plainScalar(reader: WireReader): Scalar | undefined {
  const outer = reader.enter();
  const tag = reader.more ? reader.tag() : 0;
  if (tag !== SCALAR_TAG.integer && tag !== SCALAR_TAG.unsigned) return undefined;
  const number = reader.uint64();
  if (reader.more || !Number.isSafeInteger(number)) return undefined;
  reader.leave(outer);
  const value: Value =
    tag === SCALAR_TAG.unsigned
      ? { case: "unsigned", value: BigInt(number) }
      : { case: "integer", value: BigInt(number % 2 === 0 ? number / 2 : -(number + 1) / 2) };
  return { $typeName: "skynetes.v1.Scalar", value };
}

/** A Scalar as it is written: `size` is 0 where there is none. */
interface PlainNumber {
  readonly size: number;
  readonly tag: number;
  readonly number: number;
}

const NONE: PlainNumber = { size: 0, tag: 0, number: 0 };

/** The bytes that `toBinary` gives. Throws what it throws. */
export function writeTopBounds(bounds: TopBounds): Uint8Array {
  const { field, groups, exhausted } = bounds;
  const [kth, last] = [plainNumber(bounds.kth), plainNumber(bounds.last)];
  const isPlain = groups >= 0n && groups <= SAFE && field.isWellFormed() && bounds.$unknown === undefined;
  if (!isPlain || kth === undefined || last === undefined) return toBinary(TopBoundsSchema, bounds);
  const name = Buffer.from(field);
  const held = Number(groups);
  const flag = exhausted ? 1 : 0;
  const out = new WireWriter(bytesSize(name.length) + kth.size + last.size + numberSize(flag) + numberSize(held));
  out.bytes(TAG.field, name);
  writeNumber(out, TAG.kth, kth);
  writeNumber(out, TAG.last, last);
  out.number(TAG.exhausted, flag);
  out.number(TAG.groups, held);
  return out.take();
}

function plainNumber(scalar: Scalar | undefined): PlainNumber | undefined {
  if (scalar === undefined) return NONE;
  if (scalar.$unknown !== undefined) return undefined;
  const { case: kind, value } = scalar.value;
  let number: number;
  if (kind === "integer" && value > -ZIGZAG_SAFE && value < ZIGZAG_SAFE) {
    number = value < 0n ? -2 * Number(value) - 1 : 2 * Number(value);
  } else if (kind === "unsigned" && value >= 0n && value <= SAFE) number = Number(value);
  else return undefined;
  return { size: messageSize(1 + varintSize(number)), tag: SCALAR_TAG[kind], number };
}

function writeNumber(out: WireWriter, field: number, { size, tag, number }: PlainNumber): void {
  if (size === 0) return;
  out.message(field, 1 + varintSize(number));
  // Of a oneof zero is written too.
  out.element(tag, number);
}
