import {
  type DescField,
  type DescMessage,
  fromBinary,
  fromJson,
  type JsonValue,
  type Message,
  type Registry,
  ScalarType,
} from "@bufbuild/protobuf";
import { Fault } from "../../fault/fault.ts";
import type { RequestBody } from "./query-intent.ts";
import { ExactNumber, type Json, type JsonObject, jsonPointer } from "./read-json.ts";
import { unknownField } from "./unknown-fields.ts";

/** So many mistakes are listed; a body may hold thousands. */
const ERRORS_MAX = 20;
const LEAVES_AT_ONCE = 256;

/** Faults: `malformed-request` (wire format), `invalid-request` with a pointer to everything that is wrong. */
export function decodeRequest(desc: DescMessage, body: RequestBody, registry: Registry): Message {
  const attempted = `read ${desc.typeName}`;
  if (body.kind === "binary") {
    return decodeBinary(desc, body.bytes, attempted);
  }
  const [value, pointer] = body.kind === "text" ? [body.read(), ""] : [body.value, body.pointer];
  const shape = new JsonWalk(registry, pointer, false);
  const plain = shape.message(desc, value as Json, []);
  let reason = "";
  if (shape.wrong.length === 0) {
    try {
      return fromJson(desc, plain, { registry, ignoreUnknownFields: false });
    } catch (error) {
      reason = reasonOf(error);
    }
  }
  // Only a request that is refused pays for the search of what is wrong with it.
  const search = new JsonWalk(registry, pointer, true);
  search.message(desc, value as Json, []);
  const { wrong } = search;
  // If no leaf is wrong alone it is about how they go together, such as two fields of one oneof.
  if (wrong.length === 0) wrong.push({ pointer, detail: reason });
  const text = wrong.map((w) => `${w.pointer === "" ? "/" : w.pointer}: ${w.detail}`).join("; ");
  throw new Fault("invalid-request", `${attempted}: ${text}`, { errors: wrong });
}

/** As strict as JSON: a field that is not known here is refused, not dropped. */
function decodeBinary(desc: DescMessage, bytes: Uint8Array, attempted: string): Message {
  let message: Message;
  let unknown: string | undefined;
  try {
    message = fromBinary(desc, bytes);
    unknown = unknownField(desc, message);
  } catch (error) {
    throw new Fault("malformed-request", `${attempted}: ${(error as Error).message}`, {}, error);
  }
  if (unknown === undefined) return message;
  throw new Fault("invalid-request", `${attempted}: the version that answers has no field ${unknown}`);
}

/**
 * Walks JSON along the message type: numbers get the form that protobuf-es reads exactly for the field (a string for
 * 64-bit fields), and each mistake gets the pointer that the library's own message lacks.
 */
class JsonWalk {
  readonly #registry: Registry;
  /** What is wrong, up to a number. */
  readonly wrong: { pointer: string; detail: string }[] = [];
  readonly #root: string;
  /** Also reads every value as its field does, which the walk itself does not: that costs a message for each. */
  readonly #triesLeaves: boolean;

  constructor(registry: Registry, root: string, triesLeaves: boolean) {
    this.#registry = registry;
    this.#root = root;
    this.#triesLeaves = triesLeaves;
  }

  message(desc: DescMessage, json: Json, path: readonly (string | number)[]): JsonValue {
    if (desc.typeName.startsWith("google.protobuf.")) return doubles(json);
    if (!isObject(json)) return this.#report(path, `an object (${desc.typeName}) is expected`);
    const plain: Record<string, JsonValue> = {};
    for (const [key, value] of Object.entries(json)) {
      const field = desc.fields.find((f) => f.jsonName === key || f.name === key);
      const at = [...path, key];
      if (field === undefined) {
        this.#report(at, `${desc.typeName} has no field "${key.slice(0, 80)}"`);
      } else {
        plain[key] = this.#field(desc, field, key, value, at);
      }
    }
    return plain;
  }

  #field(desc: DescMessage, field: DescField, key: string, json: Json, path: readonly (string | number)[]): JsonValue {
    if (json === null && field.message?.typeName !== "google.protobuf.Value") return null;
    switch (field.fieldKind) {
      case "message":
        return this.#nested(desc, key, field.message, json, path, (value) => value);
      case "list":
        if (!Array.isArray(json)) return this.#report(path, "a list is expected");
        if (field.listKind !== "message") return this.#leaves(desc, field, key, json, path);
        return json.map((item, i) => this.#nested(desc, key, field.message, item, [...path, i], (value) => [value]));
      case "map": {
        if (!isObject(json)) return this.#report(path, "an object is expected");
        return Object.fromEntries(
          Object.entries(json).map(([name, item]) => {
            const at = [...path, name];
            const wrap = (value: JsonValue) => ({ [name]: value });
            if (field.mapKind === "message") return [name, this.#nested(desc, key, field.message, item, at, wrap)];
            return [name, this.#leaf(desc, key, scalarOf(field), item, at, wrap)];
          }),
        );
      }
      default:
        return this.#leaf(desc, key, scalarOf(field), json, path, (value) => value);
    }
  }

  /** Many at once, and one by one only where some of them are wrong: a body may hold hundreds of thousands. */
  #leaves(
    desc: DescMessage,
    field: DescField,
    key: string,
    items: readonly Json[],
    path: readonly (string | number)[],
  ): JsonValue[] {
    const scalar = scalarOf(field);
    const plain: JsonValue[] = [];
    for (let start = 0; start < items.length; start += LEAVES_AT_ONCE) {
      const some = items.slice(start, start + LEAVES_AT_ONCE);
      const values = some.map((item) => leafValue(scalar, item));
      const known = values.filter((value) => value !== undefined);
      if (known.length === some.length && this.#isReadable(desc, key, known)) {
        for (const value of known) plain.push(value);
      } else {
        for (const [i, item] of some.entries()) {
          plain.push(this.#leaf(desc, key, scalar, item, [...path, start + i], (value) => [value]));
        }
      }
    }
    return plain;
  }

  #nested(
    parent: DescMessage,
    key: string,
    desc: DescMessage,
    json: Json,
    path: readonly (string | number)[],
    wrap: (value: JsonValue) => JsonValue,
  ): JsonValue {
    // The library's own types have a JSON of their own (Timestamp is a string): they are leaves here.
    if (desc.typeName.startsWith("google.protobuf.")) return this.#try(parent, key, doubles(json), path, wrap);
    return this.message(desc, json, path);
  }

  #leaf(
    parent: DescMessage,
    key: string,
    scalar: ScalarType | undefined,
    json: Json,
    path: readonly (string | number)[],
    wrap: (value: JsonValue) => JsonValue,
  ): JsonValue {
    const value = leafValue(scalar, json);
    if (value === undefined) {
      const isNumber = json instanceof ExactNumber;
      return this.#report(
        path,
        isNumber ? `${json.text.slice(0, 60)} does not fit the field` : "a single value is expected",
      );
    }
    return this.#try(parent, key, value, path, wrap);
  }

  /** Reads a message with this one field, so that a mistake is known by its place. */
  #try(
    parent: DescMessage,
    key: string,
    value: JsonValue,
    path: readonly (string | number)[],
    wrap: (value: JsonValue) => JsonValue,
  ): JsonValue {
    // More would not be listed.
    if (!this.#triesLeaves || this.wrong.length >= ERRORS_MAX) return value;
    try {
      fromJson(parent, { [key]: wrap(value) }, { registry: this.#registry });
      return value;
    } catch (error) {
      return this.#report(path, reasonOf(error));
    }
  }

  #isReadable(parent: DescMessage, key: string, values: readonly JsonValue[]): boolean {
    if (!this.#triesLeaves || this.wrong.length >= ERRORS_MAX) return true;
    try {
      fromJson(parent, { [key]: [...values] }, { registry: this.#registry });
      return true;
    } catch {
      return false;
    }
  }

  #report(path: readonly (string | number)[], detail: string): null {
    if (this.wrong.length < ERRORS_MAX) this.wrong.push({ pointer: this.#root + jsonPointer(path), detail });
    return null;
  }
}

const WIDE: ReadonlySet<ScalarType> = new Set([
  ScalarType.INT64,
  ScalarType.UINT64,
  ScalarType.SINT64,
  ScalarType.FIXED64,
  ScalarType.SFIXED64,
]);
const REAL: ReadonlySet<ScalarType> = new Set([ScalarType.DOUBLE, ScalarType.FLOAT]);

/** Enums are given as their names or small numbers and have no scalar type. */
function scalarOf(field: DescField): ScalarType | undefined {
  return field.scalar;
}

/** `undefined`: no single value, or a number that the field cannot hold. */
function leafValue(scalar: ScalarType | undefined, json: Json): JsonValue | undefined {
  if (json instanceof ExactNumber) return numberFor(scalar, json.text);
  return isObject(json) || Array.isArray(json) ? undefined : (json as JsonValue);
}

/** The JSON value that says exactly this number for the field's type; `undefined` when none does. */
function numberFor(scalar: ScalarType | undefined, text: string): JsonValue | undefined {
  if (scalar !== undefined && REAL.has(scalar)) return Number(text);
  const integer = exactInteger(text);
  if (integer === undefined) return undefined;
  if (scalar !== undefined && WIDE.has(scalar)) return integer.toString();
  return Number.isSafeInteger(Number(integer)) && scalar !== ScalarType.STRING ? Number(integer) : undefined;
}

/** `1e3` and `10.0` are integers too; anything of more than 40 digits fits no field. */
function exactInteger(text: string): bigint | undefined {
  const match = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text);
  if (match === null) return undefined;
  const [, sign = "", whole = "", fraction = "", exponent = "0"] = match;
  const shift = Number(exponent) - fraction.length;
  const digits = whole + fraction;
  if (shift > 40 || digits.length > 100) return undefined;
  if (shift >= 0) return BigInt(sign + digits + "0".repeat(shift));
  const cut = digits.length + shift;
  const dropped = cut <= 0 ? digits : digits.slice(cut);
  if (/[1-9]/.test(dropped)) return undefined;
  return BigInt(sign + (cut <= 0 ? "0" : digits.slice(0, cut)));
}

/** Inside Struct and Value numbers are doubles by definition. */
function doubles(json: Json): JsonValue {
  if (json instanceof ExactNumber) return Number(json.text);
  if (Array.isArray(json)) return json.map(doubles);
  if (isObject(json)) return Object.fromEntries(Object.entries(json).map(([key, value]) => [key, doubles(value)]));
  return json as JsonValue;
}

function isObject(json: Json): json is JsonObject {
  return typeof json === "object" && json !== null && !Array.isArray(json) && !(json instanceof ExactNumber);
}

/** The library's message without its lead-in, which repeats what the pointer says. */
function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replace(/^cannot decode (?:field|message) \S+ from JSON: ?/, "").slice(0, 200);
}
