import { create, type DescMethod, type Message } from "@bufbuild/protobuf";
import type { DuckDBConnection } from "@duckdb/node-api";
import {
  type Scalar,
  ScalarSchema,
  type TopBounds,
  TopBoundsSchema,
} from "../../src/wire/generated/skynetes/v1/stamp_pb.ts";
import { ORDERS, type RandomService, readAggregates, selectList, type Values } from "./random-service.ts";

/** Answers the service's method in SQL, for the rows that match `where`: a shard's, or all. */
export class DuckDbEvaluator {
  readonly #connection: DuckDBConnection;
  readonly #service: RandomService;
  readonly #method: DescMethod;

  constructor(connection: DuckDBConnection, service: RandomService, method: DescMethod) {
    this.#connection = connection;
    this.#service = service;
    this.#method = method;
  }

  async answer(request: Message, where: string): Promise<{ message: Message; bounds: TopBounds | undefined }> {
    const asked = request as Values;
    const { root, element, key } = this.#service;
    const response = this.#method.output;
    const groupOf = response.fields.find(({ name }) => name === "top")!.message!;
    const rowOf = response.fields.find(({ name }) => name === "rows")!.message!;
    const window = `${asked.limit === 0 ? "" : `LIMIT ${asked.limit}`} OFFSET ${asked.offset}`;
    const groups = `SELECT ${key.join(", ")}, ${selectList(element)} FROM t WHERE ${where}`;
    const toGroup = (row: Record<string, unknown>) =>
      create(groupOf, { ...readAggregates(element, row), ...Object.fromEntries(key.map((one) => [one, row[one]])) });

    const [totals] = await this.#rows(`SELECT ${selectList(root)} FROM t WHERE ${where}`);
    const texts = await this.#rows(`SELECT DISTINCT s FROM t WHERE ${where} AND s IS NOT NULL ORDER BY s`);
    const all = await this.#rows(`${groups} GROUP BY ${key.join(", ")} ORDER BY ${key.join(", ")}`);
    const rows = await this.#rows(`SELECT k, g, s, i FROM t WHERE ${where} ORDER BY ${this.#rowOrder()} ${window}`);

    const orderBy = ORDERS[Math.floor((asked.order as number) / 2)]!;
    const descending = (asked.order as number) % 2 === 0;
    const only = (asked.only ?? []) as string[];
    const filter = only.length === 0 ? "" : `AND k IN (${only.map((one) => `'${one}'`).join(", ")})`;
    const ranked = await this.#rows(
      `${groups} ${filter} GROUP BY ${key.join(", ")}
       ORDER BY "${orderBy}" ${descending ? "DESC" : "ASC"} NULLS LAST, ${key.join(", ")}`,
    );
    const end = asked.limit === 0 ? undefined : Number(asked.offset) + (asked.limit as number);
    const chosen = ranked.slice(Number(asked.offset), end);

    const message = create(response, {
      ...readAggregates(root, totals!),
      texts: texts.map(({ s }) => s),
      textCount: BigInt(texts.length),
      groups: all.map(toGroup),
      top: chosen.map(toGroup),
      rows: rows.map(({ k, g, s, i }) => create(rowOf, { k, g, s: s ?? undefined, i: i ?? undefined })),
    });
    const bounds = create(TopBoundsSchema, {
      field: orderBy,
      ...scalar("kth", chosen.at(-1)?.[orderBy]),
      ...scalar("last", ranked.at(-1)?.[orderBy]),
      exhausted: chosen.length === ranked.length,
      groups: BigInt(ranked.length),
    });
    // A service need not say what it left out when it was asked by key.
    return { message, bounds: only.length > 0 ? undefined : bounds };
  }

  #rowOrder(): string {
    const rule = this.#service.source.messages.Res!.find(({ name }) => name === "rows")!.merge as {
      value: { by: { field: string; descending: boolean }[] };
    };
    return rule.value.by
      .map(({ field, descending }) => `${field} ${descending ? "DESC" : "ASC"} NULLS LAST`)
      .join(", ");
  }

  async #rows(sql: string): Promise<Record<string, unknown>[]> {
    return (await this.#connection.runAndReadAll(sql)).getRowObjectsJS() as Record<string, unknown>[];
  }
}

function scalar(name: "kth" | "last", value: unknown): Partial<Record<"kth" | "last", Scalar>> {
  if (typeof value === "bigint") return { [name]: create(ScalarSchema, { value: { case: "integer", value } }) };
  if (typeof value === "number") return { [name]: create(ScalarSchema, { value: { case: "real", value } }) };
  return {};
}
