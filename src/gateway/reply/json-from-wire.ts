/**
 * Protobuf JSON written straight from the wire format: no message objects, no JSON objects, some elements at a time.
 *
 * The text is the same as `JSON.stringify(toJson(…, { alwaysEmitImplicit: true }))`. It reads what `toBinary` writes:
 * fields in the order of their numbers, lists in one piece. A message that is otherwise, or that has maps, required or
 * delimited fields, closed enums, unknown fields or a JSON of its own (Timestamp, Struct …) goes through that function.
 */
import { type DescField, type DescMessage, fromBinary, type Registry, ScalarType, toJson } from "@bufbuild/protobuf";
import { FeatureSet_FieldPresence } from "@bufbuild/protobuf/wkt";
import { SLICE, type Slices } from "../../accumulator/sliced-sort.ts";
import { ByteSink } from "../../wire/byte-sink.ts";
import { WireCursor } from "../../wire/wire-cursor.ts";
import { enumValue, scalarValue, unsetJson, type WriteValue } from "./json-values.ts";

interface FieldJson {
  /** `"name":` */
  readonly name: Buffer;
  readonly isList: boolean;
  readonly isPackable: boolean;
  /** What stands there when the field is not set; undefined where nothing does. */
  readonly unset: Buffer | undefined;
  readonly write: WriteValue;
}

interface MessageJson {
  readonly fields: readonly FieldJson[];
  readonly indexes: ReadonlyMap<number, number>;
}

/** JSON texts are handed on in pieces of about this size. */
const PIECE_BYTES = 256 * 1024;
const [COMMA, OPEN_LIST, CLOSE_LIST, OPEN, CLOSE] = [...",[]{}"].map((one) => one.charCodeAt(0)) as [
  number,
  number,
  number,
  number,
  number,
];

export class JsonFromWire {
  readonly #registry: Registry;
  readonly #compiled = new Map<DescMessage, MessageJson | undefined>();

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  /** `pieces` end between records of the message. */
  *write(desc: DescMessage, pieces: readonly Uint8Array[]): Slices<Buffer[]> {
    const json = this.#compile(desc);
    if (json === undefined) return [this.#generic(desc, Buffer.concat(pieces))];
    const sink = new ByteSink();
    const written: Buffer[] = [];
    const body = new MessageWriter(sink, json);
    let records = 0;
    for (const piece of pieces) {
      const from = new WireCursor(piece);
      while (from.at < piece.length) {
        if (!body.record(from)) return [this.#generic(desc, Buffer.concat(pieces))];
        if (++records % SLICE === 0) yield;
        if (sink.at >= PIECE_BYTES) written.push(sink.take());
      }
    }
    body.end();
    written.push(sink.end());
    return written;
  }

  #generic(desc: DescMessage, bytes: Uint8Array): Buffer {
    const options = { alwaysEmitImplicit: true, registry: this.#registry };
    return Buffer.from(JSON.stringify(toJson(desc, fromBinary(desc, bytes), options)));
  }

  /** Undefined for messages that are not read here. */
  #compile(desc: DescMessage): MessageJson | undefined {
    if (this.#compiled.has(desc)) return this.#compiled.get(desc);
    if (!isPlain(desc)) {
      this.#compiled.set(desc, undefined);
      return undefined;
    }
    const fields: FieldJson[] = [];
    const indexes = new Map<number, number>();
    // Known before its fields are compiled: they may be of the same message.
    this.#compiled.set(desc, { fields, indexes });
    for (const field of [...desc.fields].sort((a, b) => a.number - b.number)) {
      indexes.set(field.number, fields.length);
      fields.push(this.#compileField(field));
    }
    return { fields, indexes };
  }

  #compileField(field: DescField): FieldJson {
    const isList = field.fieldKind === "list";
    const scalar = isList && field.listKind === "scalar" ? field.scalar : undefined;
    return {
      name: Buffer.from(`${JSON.stringify(field.jsonName)}:`),
      isList,
      isPackable:
        (isList && field.listKind === "enum") ||
        (scalar !== undefined && scalar !== ScalarType.STRING && scalar !== ScalarType.BYTES),
      unset: unsetJson(field),
      write: field.message ? this.#messageValue(field.message) : field.enum ? enumValue(field) : scalarValue(field),
    };
  }

  #messageValue(desc: DescMessage): WriteValue {
    const plain = this.#compile(desc);
    const generic: WriteValue = (sink, from) => {
      const json = this.#generic(desc, from.delimited());
      sink.copy(json, 0, json.length);
    };
    if (plain === undefined) return generic;
    return (sink, from) => {
      const [start, mark] = [from.at, sink.at];
      const end = from.varint32() + from.at;
      const body = new MessageWriter(sink, plain);
      while (from.at < end) {
        if (body.record(from)) continue;
        sink.at = mark;
        from.at = start;
        generic(sink, from);
        return;
      }
      body.end();
    };
  }
}

/** One message as it comes: fields that are left out on the way are written as unset. */
class MessageWriter {
  readonly #sink: ByteSink;
  readonly #json: MessageJson;
  #next = 0;
  #isFirst = true;
  #isListOpen = false;

  constructor(sink: ByteSink, json: MessageJson) {
    this.#sink = sink;
    this.#json = json;
    sink.byte(OPEN);
  }

  /** False where the record does not belong here: what was written of the message is to be forgotten. */
  record(from: WireCursor): boolean {
    const sink = this.#sink;
    const tag = from.varint32();
    const index = this.#json.indexes.get(tag >>> 3);
    if (index === undefined) return false;
    const field = this.#json.fields[index]!;
    if (this.#isListOpen && index === this.#next - 1) sink.byte(COMMA);
    else {
      if (index < this.#next) return false;
      this.#skipTo(index);
      this.#name(field.name);
      this.#next = index + 1;
      this.#isListOpen = field.isList;
      if (field.isList) sink.byte(OPEN_LIST);
    }
    if (!field.isPackable || (tag & 7) !== 2) field.write(sink, from);
    else {
      const end = from.varint32() + from.at;
      while (from.at < end) {
        field.write(sink, from);
        if (from.at < end) sink.byte(COMMA);
      }
    }
    return true;
  }

  end(): void {
    this.#skipTo(this.#json.fields.length);
    this.#sink.byte(CLOSE);
  }

  #skipTo(index: number): void {
    if (this.#isListOpen) this.#sink.byte(CLOSE_LIST);
    this.#isListOpen = false;
    for (; this.#next < index; this.#next++) {
      const { name, unset } = this.#json.fields[this.#next]!;
      if (unset === undefined) continue;
      this.#name(name);
      this.#sink.copy(unset, 0, unset.length);
    }
  }

  #name(name: Buffer): void {
    if (!this.#isFirst) this.#sink.byte(COMMA);
    this.#isFirst = false;
    this.#sink.copy(name, 0, name.length);
  }
}

const HAS_OWN_JSON = /^google\.protobuf\./;

function isPlain(desc: DescMessage): boolean {
  if (HAS_OWN_JSON.test(desc.typeName)) return false;
  return desc.fields.every((field) => {
    if (field.fieldKind === "map" || field.enum?.open === false) return false;
    if (field.presence === FeatureSet_FieldPresence.LEGACY_REQUIRED) return false;
    if (field.message !== undefined && field.delimitedEncoding) return false;
    // Objects list names that are whole numbers first.
    return !/^\d+$/.test(field.jsonName);
  });
}
