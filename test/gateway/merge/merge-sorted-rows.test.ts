import { create, type Message } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  DelayService,
  SearchRequestSchema,
  type SearchResponse,
  SearchResponseSchema,
} from "../../../examples/flights/generated/flights/v1/delay_pb.ts";
import { mergeSortedRows } from "../../../src/gateway/merge/merge-sorted-rows.ts";
import { compileMethod } from "../../../src/merge-plan/compile-method.ts";

const PLAN = compileMethod(DelayService.method.search);

interface Row {
  readonly second: number;
  readonly origin: string;
  readonly delay: number;
}

function message({ second, origin, delay }: Row): SearchResponse {
  return create(SearchResponseSchema, {
    time: { seconds: BigInt(second), nanos: 0 },
    origin,
    delayMinutes: BigInt(delay),
  });
}

function text(row: Message): string {
  const { time, origin, delayMinutes } = row as SearchResponse;
  return `${time!.seconds} ${origin} ${delayMinutes}`;
}

function compareRows(a: Row, b: Row): number {
  return a.second - b.second || Buffer.compare(Buffer.from(a.origin), Buffer.from(b.origin)) || a.delay - b.delay;
}

/** A shard's stream that tells how far it was read and whether it was ended. */
function stream(rows: readonly Row[], failsAfter?: number) {
  const seen = { read: 0, ended: false };
  async function* read(): AsyncGenerator<Message> {
    try {
      for (const row of rows) {
        if (seen.read === failsAfter) throw new Error("the shard broke");
        seen.read += 1;
        yield message(row);
      }
    } finally {
      seen.ended = true;
    }
  }
  return { seen, rows: read() };
}

async function collect(shards: readonly ReturnType<typeof stream>[], limit = 0, offset = 0): Promise<string[]> {
  const request = create(SearchRequestSchema, { limit, offset });
  const merged: string[] = [];
  const streams = new Map(shards.map(({ rows }, shard) => [shard, rows] as const));
  for await (const row of mergeSortedRows(PLAN, streams, request)) merged.push(text(row));
  return merged;
}

const rows = fc.array(
  fc.record({ second: fc.integer({ min: -2, max: 3 }), origin: fc.constantFrom("", "A", "｡", "😀"), delay: fc.nat(2) }),
  { maxLength: 12 },
);

describe("rows of several shards", () => {
  test("come in the one global order, cut to the window", async () => {
    const cases = fc.asyncProperty(
      fc.array(rows, { maxLength: 7 }),
      fc.nat(12),
      fc.nat(8),
      async (lists, limit, offset) => {
        const sorted = lists
          .flat()
          .sort(compareRows)
          .map((row) => text(message(row)));
        const merged = await collect(
          lists.map((list) => stream([...list].sort(compareRows))),
          limit,
          offset,
        );
        expect(merged).toEqual(sorted.slice(offset, limit === 0 ? undefined : offset + limit));
      },
    );
    await fc.assert(cases);
  });

  test("a shard whose rows are out of order is named, and all streams end", async () => {
    const good = stream([{ second: 1, origin: "A", delay: 1 }]);
    const bad = stream([
      { second: 2, origin: "B", delay: 1 },
      { second: 2, origin: "A", delay: 1 },
    ]);
    await expect(collect([good, bad])).rejects.toMatchObject({ id: "bad-partial", detail: { shard: 1 } });
    expect(bad.seen.ended).toBe(true);
  });

  test("a shard that fails in the middle fails the answer and ends the others", async () => {
    const many = Array.from({ length: 50 }, (_, second) => ({ second, origin: "A", delay: 0 }));
    const healthy = stream(many);
    await expect(collect([healthy, stream(many, 3)])).rejects.toThrow("the shard broke");
    await new Promise((resolve) => setImmediate(resolve));
    expect(healthy.seen.ended).toBe(true);
    expect(healthy.seen.read).toBeLessThan(10);
  });

  test("a full window ends all streams without reading them through", async () => {
    const many = Array.from({ length: 1000 }, (_, second) => ({ second, origin: "A", delay: 0 }));
    const shards = [stream(many), stream(many), stream(many)];
    expect(await collect(shards, 5, 2)).toHaveLength(5);
    await new Promise((resolve) => setImmediate(resolve));
    for (const { seen } of shards) {
      expect(seen.ended).toBe(true);
      expect(seen.read).toBeLessThan(10);
    }
  });

  test("a reader that stops ends all streams", async () => {
    const shards = [stream([{ second: 1, origin: "A", delay: 0 }]), stream([{ second: 2, origin: "A", delay: 0 }])];
    const streams = new Map(shards.map((one, shard) => [shard, one.rows] as const));
    for await (const _ of mergeSortedRows(PLAN, streams, create(SearchRequestSchema))) break;
    await new Promise((resolve) => setImmediate(resolve));
    expect(shards.map(({ seen }) => seen.ended)).toEqual([true, true]);
  });
});
