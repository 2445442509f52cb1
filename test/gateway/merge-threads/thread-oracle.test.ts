/** A merge in a thread against the same one here: the same bytes, or the same fault, whatever the service. */
import { create, toBinary } from "@bufbuild/protobuf";
import { afterAll, expect, test } from "vitest";
import { Fault } from "../../../src/fault/fault.ts";
import type { MergeExecution } from "../../../src/gateway/merge/merge-execution.ts";
import { startMerge } from "../../../src/gateway/merge/start-merge.ts";
import { MergeRun } from "../../../src/gateway/merge-threads/merge-run.ts";
import { MergeThreads } from "../../../src/gateway/merge-threads/merge-threads.ts";
import { compileMethod } from "../../../src/merge-plan/compile-method.ts";
import type { MethodPlan } from "../../../src/merge-plan/method-plan.ts";
import { systemClock } from "../../../src/process/clock.ts";
import type { Fields } from "../../../src/service/serve/part-field.ts";
import { methodsOf } from "../../merge-plan/annotated-service.ts";
import { seeded } from "../../oracle/drive-merge.ts";
import { damaged, randomMessage } from "../../oracle/random-message.ts";
import { randomRecipe } from "../../oracle/random-recipe.ts";
import {
  type Entry,
  ORDERS,
  PLAN,
  type Question,
  RESPONSE,
  requestOf,
  type Shard,
  SimulatedShards,
} from "../../oracle/simulated-shards.ts";
import { columnarBytes } from "../../service/columnar-bytes.ts";

const CASES = Number(process.env.ORACLE_CASES ?? 60);
const LIMITS = { groupBytesMax: 2 ** 26, keysPerRequestMax: 7 };
const threads = new MergeThreads(1, systemClock);
afterAll(() => threads.close());

let threaded = 0;
type Merge = MergeExecution | MergeRun;

function inThread(plan: MethodPlan, request: ReturnType<typeof requestOf>, shards: readonly number[]): MergeRun {
  const { signal } = new AbortController();
  return new MergeRun({ plan, request, shards, limits: LIMITS, clock: systemClock, signal, threads, threadBytes: 0 });
}

/** When the thread of the last merge is free again. */
async function freed(): Promise<void> {
  while (threads.busy > 0) await new Promise(setImmediate);
}

async function outcome(work: () => Promise<string>, merge: Merge): Promise<string> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Fault) return `${error.id} of shard ${error.detail.shard}`;
    throw error;
  } finally {
    if (merge instanceof MergeRun) {
      if (merge.isInThread) threaded += 1;
      merge.close();
      await freed();
    }
  }
}

test("random services: the answer to the byte, and what is broken is a bad partial of its shard", async () => {
  let [answers, broken] = [0, 0];
  for (let seed = 1; seed <= CASES; seed++) {
    const random = seeded(seed * 41);
    const method = methodsOf(randomRecipe(random))[0]!;
    const plan = compileMethod(method);
    const shards = [...Array(random.pick([1, 2, 7])).keys()];
    const unlucky = random.below(4 * shards.length);
    const partials = shards.map((shard) => {
      const shape = { lengthMax: random.pick([1, 4, 9]), filled: random.pick([0.3, 0.8, 1]) };
      const bytes = toBinary(method.output, randomMessage(method.output, random, shape));
      return shard === unlucky ? damaged(bytes, random) : bytes;
    });
    const arrival = random.shuffle([...shards]);
    const run = async (merge: Merge) => {
      const requests = merge.begin();
      for (const shard of arrival) {
        const partial = { shard, request: requests[shard]!, message: partials[shard]!, bounds: undefined };
        await merge.accept(partial, false);
      }
      return Buffer.concat(await merge.finish()).toString("base64");
    };
    const here = startMerge(plan, create(method.input), shards, LIMITS);
    const expected = await outcome(() => run(here), here);
    const there = inThread(plan, create(method.input), shards);
    const actual = await outcome(() => run(there), there);
    expect(actual, `seed ${seed}`).toBe(expected);
    if (expected.startsWith("bad-partial")) broken += 1;
    else answers += 1;
  }
  expect(answers).toBeGreaterThan(CASES / 4);
  expect(broken).toBeGreaterThan(0);
  expect(threaded).toBe(CASES);
});

test("the search for the first groups asks and answers as here, whatever is given up on the way", async () => {
  for (let seed = 1; seed <= CASES / 2; seed++) {
    const random = seeded(seed);
    const groups = random.pick([3, 90, 400]);
    const worth = random.pick([(rank: number) => Math.round(1e6 / (rank + 1)), () => random.below(5)]);
    const shards = Array.from({ length: random.pick([1, 2, 7]) }, (): Shard => {
      const held = new Map<string, Entry>();
      for (let rank = 0; rank < groups; rank++) {
        const total = BigInt(worth(rank));
        held.set(`g${(rank * 7919) % groups}`, { total, count: 1n, greatest: total, weight: Number(total) / 4 });
      }
      return held;
    });
    const simulated = new SimulatedShards(shards);
    const question: Question = { limit: random.pick([1, 4]), offset: 0, order: random.pick(ORDERS), ascending: false };
    const unlucky = random.below(3 * shards.length);
    const isColumns = random.below(2) === 0;
    const run = async (merge: Merge) => {
      const told: string[] = [];
      for (let round = merge.begin(); round.length > 0; round = await merge.next()) {
        for (const request of [...round].sort((a, b) => a.shard - b.shard)) {
          const { shard } = request;
          const { limit, only } = request.request as unknown as { limit: number; only: readonly string[] };
          told.push(`${shard} ${limit} ${only.length}`);
          const { message, bounds } = simulated.answer(request, question);
          if (shard === unlucky && told.length > shards.length / 2) {
            await merge.exclude(shard);
            continue;
          }
          const columns =
            isColumns && merge.acceptsColumns ? columnarBytes(PLAN, message as unknown as Fields, 1) : undefined;
          const partial = { shard, request, message: columns ?? toBinary(RESPONSE, message), bounds };
          await merge.accept(columns === undefined ? partial : { ...partial, format: "columns" }, true);
        }
      }
      return [...told, Buffer.concat(await merge.finish()).toString("hex")].join("\n");
    };
    const shardNumbers = [...shards.keys()];
    const here = startMerge(PLAN, requestOf(question), shardNumbers, LIMITS);
    const expected = await outcome(() => run(here), here);
    const there = inThread(PLAN, requestOf(question), shardNumbers);
    expect(await outcome(() => run(there), there), `seed ${seed}`).toBe(expected);
  }
  expect(threaded).toBeGreaterThan(1.4 * CASES);
});
