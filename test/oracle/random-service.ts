/**
 * A random annotated service over one fixed table, with the SQL that answers it. The same SQL answers for one shard
 * (`WHERE shard = i`) and for the whole, so the whole is the oracle of what the gateway merges.
 */
import { create, type Message } from "@bufbuild/protobuf";
import { TimestampSchema } from "@bufbuild/protobuf/wkt";
import { DecimalSchema, Role } from "../../src/wire/generated/skynetes/v1/merge_pb.ts";
import { type FieldSource, methodsOf, rule, type ServiceSource } from "../merge-plan/annotated-service.ts";
import type { Seeded } from "./drive-merge.ts";

export const TABLE = `CREATE OR REPLACE TABLE t (shard INTEGER, k VARCHAR, g BIGINT, a BIGINT, i INTEGER,
  d DOUBLE, m DECIMAL(18,3), s VARCHAR, b BOOLEAN, ts TIMESTAMP)`;

/** Code points whose order by UTF-16 differs from that by UTF-8, and such as break naive joins of keys. */
const TEXTS = ["", "a", "b", "ab", "a:1", "Z", "é", "｡", "😀", "\u{10000}", "\uffff", "zz"];

export function randomRows(random: Seeded, count: number, shards: number): string[] {
  const nullable = (sql: string) => (random.below(8) === 0 ? "NULL" : sql);
  const text = () => `'${random.pick(TEXTS)}'`;
  const edge = [2n ** 62n, -(2n ** 62n), 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n)];
  const wide = () => (random.below(12) === 0 ? random.pick(edge) : BigInt(random.below(2000) - 1000));
  return Array.from({ length: count }, () => {
    const cells = [
      random.below(shards),
      text(),
      random.below(5) - 2,
      nullable(`${wide()}`),
      nullable(`${random.below(200) - 100}`),
      // Multiples of a quarter: DuckDB's own sum of them is exact.
      nullable(`${(random.below(800) - 400) / 4}`),
      nullable(`${random.below(100000) - 50000}.${String(random.below(1000)).padStart(3, "0")}`),
      nullable(text()),
      nullable(random.pick(["true", "false"])),
      nullable(`TIMESTAMP '2001-01-0${1 + random.below(9)} 0${random.below(9)}:00:00.12345${random.below(9)}'`),
    ];
    return `(${cells.join(", ")})`;
  });
}

/** Fields of a message, the SQL expressions that fill them, and how what DuckDB returns becomes their values. */
interface Aggregate {
  readonly field: FieldSource;
  readonly sql?: string;
  readonly read?: (value: unknown) => unknown;
}

const decimal = (value: unknown) => (value === null ? undefined : create(DecimalSchema, { value: String(value) }));
const instant = (value: unknown) => {
  if (value === null) return undefined;
  const micros = value as bigint;
  return create(TimestampSchema, { seconds: micros / 1_000_000n, nanos: Number(micros % 1_000_000n) * 1000 });
};

function aggregates(random: Seeded): Aggregate[] {
  const pool: Aggregate[] = [
    { field: { name: "total", type: "int64", merge: rule("sum") }, sql: "coalesce(sum(a), 0)::HUGEINT" },
    { field: { name: "dsum", type: "double", merge: rule("sum") }, sql: "coalesce(sum(d), 0)" },
    { field: { name: "msum", type: "Decimal", merge: rule("sum") }, sql: "sum(m)::VARCHAR", read: decimal },
    { field: { name: "amin", type: "optional int64", merge: rule("min") }, sql: "min(a)" },
    { field: { name: "imax", type: "optional int32", merge: rule("max") }, sql: "max(i)" },
    { field: { name: "dmin", type: "optional double", merge: rule("min") }, sql: "min(d)" },
    { field: { name: "mmax", type: "Decimal", merge: rule("max") }, sql: "max(m)::VARCHAR", read: decimal },
    { field: { name: "smin", type: "optional string", merge: rule("min") }, sql: "min(s)" },
    { field: { name: "smax", type: "optional string", merge: rule("max") }, sql: "max(s)" },
    { field: { name: "first_at", type: "Timestamp", merge: rule("min") }, sql: "epoch_us(min(ts))", read: instant },
    { field: { name: "some", type: "bool", merge: rule("any") }, sql: "coalesce(bool_or(b), false)" },
    { field: { name: "each", type: "bool", merge: rule("all") }, sql: "coalesce(bool_and(b), true)" },
    { field: { name: "bits", type: "int32", merge: rule("bitOr") }, sql: "coalesce(bit_or(i), 0)" },
  ];
  return [...ALWAYS, ...random.shuffle(pool).slice(0, 1 + random.below(pool.length))];
}

/** What orders refer to. DuckDB's own mean of a few small integers is rounded once, so it can be the oracle of `avg`. */
const ALWAYS: readonly Aggregate[] = [
  { field: { name: "n", type: "int64", merge: rule("sum") }, sql: "count(i)" },
  { field: { name: "isum", type: "int64", merge: rule("sum") }, sql: "coalesce(sum(i), 0)::BIGINT" },
  { field: { name: "mean", type: "optional double", merge: rule("avg", { sum: "isum", count: "n" }) }, sql: "avg(i)" },
  { field: { name: "dmax", type: "optional double", merge: rule("max") }, sql: "max(d)" },
];

export const ORDERS = ["n", "isum", "mean", "dmax"] as const;

export interface RandomService {
  readonly source: ServiceSource;
  readonly root: readonly Aggregate[];
  readonly element: readonly Aggregate[];
  readonly key: readonly string[];
  readonly hasKeyFilter: boolean;
}

export function randomService(random: Seeded): RandomService {
  const root = aggregates(random);
  const element = aggregates(random);
  const key = random.pick([["k"], ["k"], ["g", "k"], ["k", "g"]]);
  const hasKeyFilter = key.length === 1 && random.below(4) > 0;
  const sortKeys = ["k", "g", "s", "i"].map((field) => ({ field, descending: random.below(2) === 0 }));
  const source: ServiceSource = {
    enums: {
      Order: ORDERS.flatMap((field) => [
        [`O_${field}_DOWN`, { field }] as const,
        [`O_${field}_UP`, { field, ascending: true }] as const,
      ]),
    },
    messages: {
      Req: [
        { name: "limit", type: "int32", role: Role.LIMIT },
        { name: "offset", type: "uint64", role: Role.OFFSET },
        { name: "order", type: "Order", role: Role.ORDER },
        ...(hasKeyFilter ? [{ name: "only", type: "repeated string", role: Role.KEY_FILTER }] : []),
      ],
      Group: [...keyFields(key), ...element.map(({ field }) => field)],
      Row: [
        { name: "k", type: "string" },
        { name: "g", type: "int64" },
        { name: "s", type: "optional string" },
        { name: "i", type: "optional int32" },
      ],
      Res: [
        ...root.map(({ field }) => field),
        { name: "texts", type: "repeated string", merge: rule("distinct") },
        { name: "text_count", type: "int64", merge: rule("countOf", { field: "texts" }) },
        { name: "groups", type: "repeated Group", merge: rule("group", { key }) },
        { name: "top", type: "repeated Group", merge: rule("group", { key, top: {} }) },
        { name: "rows", type: "repeated Row", merge: rule("sorted", { by: sortKeys }) },
      ],
    },
  };
  return { source, root, element, key, hasKeyFilter };
}

function keyFields(key: readonly string[]): FieldSource[] {
  return key.map((name) => ({ name, type: name === "k" ? "string" : "int64" }));
}

export function compileSource(source: ServiceSource) {
  return methodsOf(source)[0]!;
}

/** `total` may leave int64: then the shard, or the oracle, has no answer. */
export class Overflow extends Error {}

export function selectList(fields: readonly Aggregate[]): string {
  return fields.map(({ field, sql }) => `${sql} AS "${field.name}"`).join(", ");
}

export function readAggregates(fields: readonly Aggregate[], row: Readonly<Record<string, unknown>>) {
  const values: Record<string, unknown> = {};
  for (const { field, read } of fields) {
    const value = row[field.name];
    if (field.name === "total" && BigInt.asIntN(64, value as bigint) !== value) throw new Overflow();
    const kept = read === undefined ? (value ?? undefined) : read(value);
    if (kept !== undefined) values[localName(field.name)] = kept;
  }
  return values;
}

export function localName(name: string): string {
  return name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

export type Values = Message & Record<string, unknown>;
