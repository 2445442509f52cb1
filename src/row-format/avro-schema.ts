import avro, { type Type } from "avsc";
import type { FieldKind } from "./column-fit.ts";
import { decimalFromBytes, decimalToBytes } from "./decimal-bytes.ts";
import { utf8Text } from "./json-rows.ts";
import { RowReject } from "./row-reject.ts";
import type { SchemaField } from "./schema-columns.ts";

/** A field of a flat Avro record. */
export interface AvroField extends SchemaField {
  /** From what avsc reads to what `kind` says; not of `null`. Throws `RowReject`. */
  decode(value: unknown): unknown;
  /** And back. */
  encode(value: unknown): unknown;
  /** What is written where the table has no such column. Throws `RowReject` when the schema names no default. */
  defaultValue(): unknown;
}

export interface AvroRecord {
  readonly type: Type;
  readonly fields: ReadonlyMap<string, AvroField>;
}

/** What a schema says of a type beyond how it is encoded. */
interface Attributes {
  readonly type?: string;
  readonly logicalType?: string;
  readonly precision?: number;
  readonly scale?: number;
  readonly size?: number;
}

/**
 * An Avro schema as JSON, which must be a record of plain fields. Arrays, maps and records within it are refused: rows
 * are flat, and a few bytes can say that an array has 2^60 elements of no bytes. Throws an Error that says what is wrong.
 */
export function parseAvroRecord(text: string): AvroRecord {
  const attributes = new Map<Type, Attributes>();
  const type = avro.Type.forSchema(JSON.parse(text), {
    // What is left to `undefined` is made by avsc. 64-bit integers must not become doubles, and text that is no UTF-8
    // must not become other text, so strings are read as the bytes that they are encoded as.
    typeHook(schema) {
      const stated: Attributes = typeof schema === "string" ? { type: schema } : (schema as Attributes);
      const made = stated.type === "long" ? longType() : stated.type === "string" ? bytesType() : undefined;
      if (made !== undefined) attributes.set(made, stated);
      return made;
    },
    logicalTypes: { decimal: KeptLogical, date: KeptLogical },
  });
  if (!(type instanceof avro.types.RecordType)) throw new Error(`it is of type ${type.typeName}, and not a record`);
  const fields = type.fields.map((field): [string, AvroField] => {
    const branches = avro.Type.isType(field.type, "union") ? unionTypes(field.type) : [field.type];
    for (const branch of branches) {
      if (NESTED.has(branch.typeName))
        throw new Error(`field "${field.name}" is of type ${branch.typeName}: rows are flat`);
    }
    const valued = branches.filter((branch) => branch.typeName !== "null");
    const [only] = valued;
    const described = valued.length === 1 ? describe(only!, attributes) : UNFIT(JSON.stringify(field.type.schema()));
    const defaultValue = () => {
      if (field.defaultValue() !== undefined) return field.defaultValue();
      if (valued.length < branches.length) return null;
      throw new RowReject(`field "${field.name}" has no default, and the table no such column`);
    };
    return [field.name, { ...described, defaultValue }];
  });
  return { type, fields: new Map(fields) };
}

const NESTED: ReadonlySet<string> = new Set(["array", "map", "record", "error", "union:wrapped", "union:unwrapped"]);

function unionTypes(type: Type): Type[] {
  return (type as Type & { readonly types: Type[] }).types;
}

function longType(): Type {
  return avro.types.LongType.__with({
    fromBuffer: (bytes: Buffer) => bytes.readBigInt64LE(),
    toBuffer(value: bigint) {
      const bytes = Buffer.alloc(8);
      bytes.writeBigInt64LE(value);
      return bytes;
    },
    fromJSON: BigInt,
    toJSON: String,
    isValid: (value: unknown) => typeof value === "bigint" && BigInt.asIntN(64, value) === value,
    compare: (a: bigint, b: bigint) => (a < b ? -1 : a > b ? 1 : 0),
  });
}

function bytesType(): Type {
  return avro.Type.forSchema("bytes");
}

/** Keeps what the schema says of a logical type; values stay those of the type below. */
class KeptLogical extends avro.types.LogicalType {
  readonly attributes: Attributes;

  constructor(schema: ConstructorParameters<typeof avro.types.LogicalType>[0], options?: unknown) {
    super(schema, options as undefined);
    this.attributes = schema as Attributes;
  }

  protected override _fromValue(value: unknown): unknown {
    return value;
  }

  protected override _toValue(value: unknown): unknown {
    return value;
  }
}

type Described = Omit<AvroField, "defaultValue">;

const same = (value: unknown) => value;
const UNFIT = (type: string): Described => ({ type, kind: undefined, decode: same, encode: same });
const plain = (type: string, kind: FieldKind): Described => ({ type, kind, decode: same, encode: same });

/** Nanoseconds of what a `long` counts. */
const INSTANT_UNITS: Readonly<Record<string, bigint>> = {
  "timestamp-millis": 1_000_000n,
  "timestamp-micros": 1000n,
  "timestamp-nanos": 1n,
};

function describe(type: Type, attributes: ReadonlyMap<Type, Attributes>): Described {
  const stated = type instanceof KeptLogical ? type.attributes : attributes.get(type);
  if (stated?.logicalType === "decimal") return describeDecimal(stated);
  if (stated?.logicalType === "date") return plain("date", { kind: "date" });
  if (stated?.type === "long") {
    const unitNs = INSTANT_UNITS[stated.logicalType ?? ""];
    if (unitNs !== undefined) return plain(stated.logicalType!, { kind: "instant", unitNs });
    return plain("long", { kind: "integer", is64: true });
  }
  if (stated?.type === "string") {
    return {
      ...plain("string", { kind: "text" }),
      decode: (value) => utf8Text(value as Buffer, "text"),
      encode: (value) => Buffer.from(value as string, "utf8"),
    };
  }
  switch (type.typeName) {
    case "boolean":
      return plain("boolean", { kind: "boolean" });
    case "int":
      return plain("int", { kind: "integer", is64: false });
    case "float":
    case "double":
      return plain(type.typeName, { kind: "real", isSingle: type.typeName === "float" });
    case "bytes":
    case "fixed":
      return { ...plain(type.typeName, { kind: "bytes" }), encode: (value) => Buffer.from(value as Uint8Array) };
    case "enum":
      return plain("enum", { kind: "text" });
    default:
      return UNFIT(type.typeName);
  }
}

function describeDecimal({ type, precision = 0, scale = 0, size }: Attributes): Described {
  return {
    type: `decimal(${precision},${scale})`,
    kind: { kind: "decimal", precision, scale },
    decode: (value) => decimalFromBytes(value as Buffer),
    encode: (value) => decimalToBytes(value as bigint, type === "fixed" ? size : undefined),
  };
}
