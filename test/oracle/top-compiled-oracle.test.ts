/** The search for the first groups in columns: it asks and answers as the one over messages does, and holds a million. */
import { create, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { describe, expect, test } from "vitest";
import { interpretedMerge } from "../../src/gateway/merge/interpreted-merge.ts";
import type { MergeExecution } from "../../src/gateway/merge/merge-execution.ts";
import { startMerge } from "../../src/gateway/merge/start-merge.ts";
import type { ShardRequest } from "../../src/gateway/plan/shard-request.ts";
import type { Fields } from "../../src/service/serve/part-field.ts";
import { TopBoundsSchema } from "../../src/wire/generated/skynetes/v1/stamp_pb.ts";
import { columnarBytes } from "../service/columnar-bytes.ts";
import { seeded } from "./drive-merge.ts";
import {
  type Entry,
  ORDERS,
  PLAN,
  type Question,
  RESPONSE,
  requestOf,
  type Shard,
  SimulatedShards,
} from "./simulated-shards.ts";

const LIMITS = { groupBytesMax: 2 ** 31, keysPerRequestMax: 7 };

/** All that is asked, and the answer. */
function transcript(
  merge: MergeExecution,
  format: "message" | "columns",
  simulated: SimulatedShards,
  question: Question,
  seed: number,
): string[] {
  const random = seeded(seed);
  const unlucky = random.below(3 * simulated.shards.length);
  const told: string[] = [];
  let calls = 0;
  const failed = new Set<number>();
  for (let round = merge.begin(); round.length > 0; round = merge.next()) {
    told.push(...round.map((request) => JSON.stringify(asked(request))).sort());
    for (const request of random.shuffle([...round])) {
      const { shard } = request;
      if (failed.has(shard)) continue;
      if (shard === unlucky && calls++ > random.below(3)) {
        failed.add(shard);
        merge.exclude(shard);
        continue;
      }
      const { message, bounds } = simulated.answer(request, question);
      const columns = format === "columns" ? columnarBytes(PLAN, message as unknown as Fields, 1) : undefined;
      const partial = { shard, request, message: columns ?? toBinary(RESPONSE, message), bounds };
      merge.accept(columns === undefined ? partial : { ...partial, format });
    }
  }
  return [...told, Buffer.concat(merge.finish()).toString("hex")];
}

function asked({ shard, request }: ShardRequest): unknown {
  const { limit, only } = request as unknown as { limit: number; only: readonly string[] };
  // Which keys go together in a request is nobody's concern.
  return { shard, limit, keys: only.length };
}

describe("the search in columns", () => {
  test("asks and answers as the search over messages does, whatever is given up on the way", () => {
    let rounds = 0;
    for (let seed = 1; seed <= 120; seed++) {
      const random = seeded(seed);
      const groups = random.pick([3, 90, 400]);
      const worth = random.pick([
        (rank: number) => Math.round(1e6 / (rank + 1)),
        () => random.below(5),
        () => random.below(2001) - 1000,
        (rank: number) => Math.round((1e6 / (rank + 1)) * (random.unit() - 0.4)),
      ]);
      const shards = Array.from({ length: random.pick([1, 2, 7]) }, (): Shard => {
        const held = new Map<string, Entry>();
        for (let rank = 0; rank < groups; rank++) {
          if (random.below(3) === 0) continue;
          const total = BigInt(worth(rank)) * random.pick([1n, 1n, 2n ** 40n]);
          const count = BigInt(1 + random.below(4));
          held.set(`g${(rank * 7919) % groups}`, { total, count, greatest: total, weight: Number(total) / 4 });
        }
        return held;
      });
      const simulated = new SimulatedShards(shards);
      const question: Question = {
        limit: random.pick([1, 4]),
        offset: random.pick([0, 2]),
        order: random.pick(ORDERS),
        ascending: random.below(3) === 0,
      };
      const tell = (start: typeof startMerge, format: "message" | "columns") => {
        const merge = start(PLAN, requestOf(question), [...shards.keys()], LIMITS);
        return transcript(merge, format, simulated, question, seed);
      };
      const expected = tell(interpretedMerge, "message");
      expect(tell(startMerge, "message"), `seed ${seed}`).toEqual(expected);
      expect(tell(startMerge, "columns"), `seed ${seed}, columns`).toEqual(expected);
      rounds += expected.length;
    }
    expect(rounds).toBeGreaterThan(500);
  });

  test("a million groups with equal values: all travel, and the first by key are the answer", () => {
    const each = 250_000;
    const shards = [0, 1, 2, 3];
    const question: Question = { limit: 5, offset: 0, order: "total", ascending: false };
    const merge = startMerge(PLAN, requestOf(question), shards, LIMITS);
    let calls = 0;
    for (let round = merge.begin(); round.length > 0; round = merge.next()) {
      for (const request of round) {
        const { shard } = request;
        const { limit } = request.request as unknown as { limit: number };
        const sent = limit === 0 ? each : limit;
        calls += 1;
        merge.accept({ shard, request, message: flatGroups(shard, sent), bounds: boundsOf(sent, each) });
      }
    }
    expect(calls).toBeLessThanOrEqual(12);
    const answer = Buffer.concat(merge.finish()).toString();
    for (let first = 0; first < 5; first++) expect(answer).toContain(`0-${String(first).padStart(6, "0")}`);
  }, 120_000);

  test("more groups than may be held are an error that says so", () => {
    const question: Question = { limit: 0, offset: 0, order: "total", ascending: false };
    const merge = startMerge(PLAN, requestOf(question), [0], { groupBytesMax: 100_000 });
    const [request] = merge.begin();
    const partial = { shard: 0, request: request!, message: flatGroups(0, 5000), bounds: undefined };
    expect(() => merge.accept(partial)).toThrow(
      expect.objectContaining({ id: "answer-too-large" }) as unknown as Error,
    );
  });
});

function flatGroups(shard: number, count: number): Uint8Array {
  const writer = new BinaryWriter();
  for (let at = 0; at < count; at++) {
    writer.tag(1, WireType.LengthDelimited).fork();
    writer.tag(1, WireType.LengthDelimited).string(`${shard}-${String(at).padStart(6, "0")}`);
    writer.tag(2, WireType.Varint).uint32(7).tag(3, WireType.Varint).uint32(1).join();
  }
  return writer.finish();
}

function boundsOf(sent: number, groups: number) {
  const seven = { value: { case: "integer" as const, value: 7n } };
  return create(TopBoundsSchema, {
    field: "total",
    kth: seven,
    last: seven,
    exhausted: sent === groups,
    groups: BigInt(groups),
  });
}
