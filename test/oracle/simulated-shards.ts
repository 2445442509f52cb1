/** Shards of a service with top groups, simulated by sorted arrays; and the answer by brute force. */
import { create, type Message, toBinary } from "@bufbuild/protobuf";
import type { ShardRequest } from "../../src/gateway/plan/shard-request.ts";
import { compileMethod } from "../../src/merge-plan/compile-method.ts";
import { Role } from "../../src/wire/generated/skynetes/v1/merge_pb.ts";
import { ScalarSchema, TopBoundsSchema } from "../../src/wire/generated/skynetes/v1/stamp_pb.ts";
import { methodsOf, rule } from "../merge-plan/annotated-service.ts";
import type { ShardAnswer } from "./drive-merge.ts";
import type { Values } from "./random-service.ts";

export const ORDERS = ["total", "mean", "greatest", "weight"] as const;
export type OrderField = (typeof ORDERS)[number];

const METHOD = methodsOf({
  enums: {
    Order: ORDERS.flatMap((field) => [
      [`${field}_DOWN`, { field }] as const,
      [`${field}_UP`, { field, ascending: true }] as const,
    ]),
  },
  messages: {
    Req: [
      { name: "limit", type: "uint32", role: Role.LIMIT },
      { name: "offset", type: "int32", role: Role.OFFSET },
      { name: "order", type: "Order", role: Role.ORDER },
      { name: "only", type: "repeated string", role: Role.KEY_FILTER },
    ],
    Entry: [
      { name: "k", type: "string" },
      { name: "total", type: "int64", merge: rule("sum") },
      { name: "count", type: "int64", merge: rule("sum") },
      { name: "mean", type: "optional double", merge: rule("avg", { sum: "total", count: "count" }) },
      { name: "greatest", type: "optional int64", merge: rule("max") },
      { name: "weight", type: "double", merge: rule("sum") },
    ],
    Res: [
      { name: "groups", type: "repeated Entry", merge: rule("group", { key: ["k"], top: {} }) },
      { name: "shards", type: "int64", merge: rule("sum") },
    ],
  },
})[0]!;

export const PLAN = compileMethod(METHOD);
export const RESPONSE = METHOD.output;
const ENTRY = METHOD.output.fields[0]!.message!;

/** One group on one shard, or merged. The weight is an integer, so that a sum of it by brute force is exact too. */
export interface Entry {
  readonly total: bigint;
  readonly count: bigint;
  readonly greatest: bigint;
  readonly weight: number;
}

export type Shard = ReadonlyMap<string, Entry>;

export interface Question {
  readonly limit: number;
  readonly offset: number;
  readonly order: OrderField;
  readonly ascending: boolean;
}

export function requestOf({ limit, offset, order, ascending }: Question): Message {
  return create(METHOD.input, { limit, offset, order: 2 * ORDERS.indexOf(order) + (ascending ? 1 : 0) });
}

export function orderValueOf(entry: Entry, order: OrderField): bigint | number {
  return order === "mean" ? Number(entry.total) / Number(entry.count) : entry[order];
}

function ranked(shard: Iterable<[string, Entry]>, { order, ascending }: Question): [string, Entry][] {
  const rows = [...shard].map(([key, entry]) => ({
    key,
    bytes: Buffer.from(key),
    entry,
    value: orderValueOf(entry, order),
  }));
  rows.sort((a, b) => {
    if (a.value !== b.value) return a.value < b.value === ascending ? -1 : 1;
    return Buffer.compare(a.bytes, b.bytes);
  });
  return rows.map(({ key, entry }) => [key, entry]);
}

/** The keys of the answer, by adding everything up. */
export function bruteForce(shards: readonly Shard[], question: Question): string[] {
  const merged = new Map<string, Entry>();
  for (const shard of shards) {
    for (const [key, entry] of shard) {
      const known = merged.get(key);
      merged.set(key, known === undefined ? entry : addEntries(known, entry));
    }
  }
  const end = question.limit === 0 ? undefined : question.offset + question.limit;
  return ranked(merged, question)
    .slice(question.offset, end)
    .map(([key, entry]) => describeEntry(key, entry));
}

function addEntries(a: Entry, b: Entry): Entry {
  return {
    total: a.total + b.total,
    count: a.count + b.count,
    greatest: a.greatest > b.greatest ? a.greatest : b.greatest,
    weight: a.weight + b.weight,
  };
}

function describeEntry(key: string, entry: Entry): string {
  return [key, entry.total, entry.count, Number(entry.total) / Number(entry.count), entry.greatest, entry.weight].join(
    " ",
  );
}

export function describeAnswer(message: Message): string[] {
  return ((message as Values).groups as Values[]).map(({ k, total, count, mean, greatest, weight }) =>
    [k, total, count, mean, greatest, weight].join(" "),
  );
}

function messageOf([k, entry]: [string, Entry]): Message {
  return create(ENTRY, { k, ...entry });
}

/** Sorted once for each order, as an index would be. */
export class SimulatedShards {
  readonly shards: readonly Shard[];
  readonly #sorted = new Map<string, [string, Entry][]>();

  constructor(shards: readonly Shard[]) {
    this.shards = shards;
  }

  answer({ shard, request }: ShardRequest, question: Question): ShardAnswer {
    const asked = request as Values;
    const only = asked.only as string[];
    const limit = asked.limit as number;
    const held = this.shards[shard]!;
    if (asked.offset !== 0) throw new Error("a shard must not be asked with an offset");
    if (only.length > 0) {
      const found = only.flatMap((key) => (held.has(key) ? [messageOf([key, held.get(key)!])] : []));
      return { message: create(RESPONSE, { groups: found, shards: 1n }) };
    }
    const all = this.#rank(shard, question);
    const sent = limit === 0 ? all : all.slice(0, limit);
    const bounds = create(TopBoundsSchema, {
      field: question.order,
      ...(sent.length > 0 ? { kth: scalarOf(sent.at(-1)!, question), last: scalarOf(all.at(-1)!, question) } : {}),
      exhausted: sent.length === all.length,
      groups: BigInt(all.length),
    });
    return { message: create(RESPONSE, { groups: sent.map(messageOf), shards: 1n }), bounds };
  }

  #rank(shard: number, question: Question): [string, Entry][] {
    const name = `${shard} ${question.order} ${question.ascending}`;
    const known = this.#sorted.get(name) ?? ranked(this.shards[shard]!, question);
    this.#sorted.set(name, known);
    return known;
  }

  /** What it would take to send every group of every shard, from a sample. */
  allBytes(): number {
    let bytes = 0;
    for (const shard of this.shards) {
      const sample = [...shard].filter((_, index) => index % 97 === 0);
      const encoded = toBinary(RESPONSE, create(RESPONSE, { groups: sample.map(messageOf) })).length;
      bytes += (encoded / Math.max(sample.length, 1)) * shard.size;
    }
    return bytes;
  }
}

function scalarOf([, entry]: [string, Entry], { order }: Question) {
  const value = orderValueOf(entry, order);
  return create(ScalarSchema, {
    value: typeof value === "bigint" ? { case: "integer", value } : { case: "real", value },
  });
}
