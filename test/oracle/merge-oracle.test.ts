import { create, equals, type Message, toBinary, toJsonString } from "@bufbuild/protobuf";
import { type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Fault } from "../../src/fault/fault.ts";
import { startMerge } from "../../src/gateway/merge/start-merge.ts";
import { compileMethod } from "../../src/merge-plan/compile-method.ts";
import { driveMerge, type Seeded, seeded } from "./drive-merge.ts";
import { DuckDbEvaluator } from "./duckdb-evaluator.ts";
import { compileSource, ORDERS, Overflow, randomRows, randomService, TABLE } from "./random-service.ts";

/** Promise 1: at a snapshot the answer equals one database holding all shards. Promise 4: whatever the arrival order. */
const LIMITS = { groupBytesMax: 64 * 2 ** 20 };
const CASES = 24;

let instance: DuckDBInstance;
let connection: DuckDBConnection;

beforeAll(async () => {
  instance = await DuckDBInstance.create(":memory:", { threads: "1" });
  connection = await instance.connect();
});
afterAll(() => {
  connection.closeSync();
  instance.closeSync();
});

describe.each([1, 2, 7, 16])("over %i shards", (shards) => {
  test("random services over random rows answer as one database", async () => {
    const outcomes = { equal: 0, overflow: 0, noPartial: 0 };
    for (let seed = 1; seed <= CASES; seed++) outcomes[await oneCase(seeded(seed * 1009 + shards), shards, seed)] += 1;
    // Cases in which a shard's own sum overflows say nothing; most must not be such.
    expect(outcomes.equal).toBeGreaterThan(CASES / 3);
  });
});

async function oneCase(random: Seeded, shards: number, seed: number): Promise<"equal" | "overflow" | "noPartial"> {
  const service = randomService(random);
  const method = compileSource(service.source);
  const plan = compileMethod(method);
  await connection.run(TABLE);
  const rows = randomRows(random, random.pick([0, 3, 40, 150]), shards);
  if (rows.length > 0) await connection.run(`INSERT INTO t VALUES ${rows.join(", ")}`);
  const request = create(method.input, {
    limit: random.pick([0, 1, 2, 3, 5, 200]),
    offset: BigInt(random.pick([0, 0, 1, 4])),
    order: random.below(2 * ORDERS.length),
    ...(service.hasKeyFilter && random.below(5) === 0 ? { only: ["a", "😀", "nowhere"] } : {}),
  });
  const evaluator = new DuckDbEvaluator(connection, service, method);
  const merge = () => startMerge(plan, request, [...Array(shards).keys()], { ...LIMITS, keysPerRequestMax: 3 });
  const run = () =>
    driveMerge(
      merge(),
      method.output,
      ({ shard, request: asked }) => evaluator.answer(asked, `shard = ${shard}`),
      (items) => random.shuffle(items),
    );

  const expected = await orOverflow(async () => (await evaluator.answer(request, "true")).message);
  const merged = await orOverflow(async () => (await run()).message);
  if (merged === "no partial") return "noPartial";
  const told = `seed ${seed}, request ${toJsonString(method.input, request)}`;
  if (expected === "no partial" || merged === "overflow") {
    expect(merged, told).toBe("overflow");
    return "overflow";
  }
  const isEqual = equals(method.output, merged, expected as Message);
  if (!isEqual)
    expect(toJsonString(method.output, merged), told).toBe(toJsonString(method.output, expected as Message));
  expect(isEqual, told).toBe(true);
  const again = await run();
  expect(toBinary(method.output, again.message), `${told}: other arrival, other bytes`).toEqual(
    toBinary(method.output, merged),
  );
  expect(again.rounds, told).toBeLessThanOrEqual(3);
  return "equal";
}

/** The answer; `overflow` when the merge found it, `no partial` when the evaluator cannot answer at all. */
async function orOverflow(work: () => Promise<Message>): Promise<Message | "overflow" | "no partial"> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Overflow) return "no partial";
    if (error instanceof Fault && error.id === "overflow") return "overflow";
    throw error;
  }
}
