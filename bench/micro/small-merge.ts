/**
 * `small-merge`: what it takes to make one answer of small partials: 16 shards, each ten groups of a key and three
 * int64, all that the shard has; the first ten of the sums. It is the merge of `scatter`, without the network.
 *
 * Steps: `begin` makes the requests, `accept` decodes the partials and keeps them, `next` finds that there is nothing to
 * search and adds them up, `finish` writes the answer. The figures are processor time (user and system) of the process
 * per answer, garbage collection in them; medians of some runs after one that warms up.
 */
import { create, toBinary } from "@bufbuild/protobuf";
import { unsliced } from "../../src/accumulator/sliced-sort.ts";
import { startMerge } from "../../src/gateway/merge/start-merge.ts";
import { compileMethod } from "../../src/merge-plan/compile-method.ts";
import { TopBoundsSchema } from "../../src/wire/generated/skynetes/v1/stamp_pb.ts";
import type { BenchReport } from "../bench.ts";
import { BenchService, TopRequestSchema, TopResponseSchema } from "../generated/bench/v1/bench_pb.ts";
import { drawnGroups } from "../harness/service/drawn-groups.ts";

const SHARDS = 16;
const ANSWERS = 4000;
const LIMITS = { groupBytesMax: 2 ** 30 };

const PLAN = compileMethod(BenchService.method.top);
const SHARD_NUMBERS = Array.from({ length: SHARDS }, (_, shard) => shard);

export async function run(options: readonly string[]): Promise<BenchReport> {
  const rounds = Number(options[0] ?? 5);
  const request = create(TopRequestSchema, { limit: 10, seed: 7n });
  const bounds = create(TopBoundsSchema, { field: "first", exhausted: true });
  const partials = SHARD_NUMBERS.map((shard) =>
    toBinary(TopResponseSchema, create(TopResponseSchema, { groups: groupsOf(shard) })),
  );
  const answer = () => {
    const merge = startMerge(PLAN, request, SHARD_NUMBERS, LIMITS);
    for (const asked of merge.begin()) {
      const { shard } = asked;
      unsliced(merge.acceptSlices({ shard, request: asked, bounds, message: partials[shard]! }));
    }
    unsliced(merge.nextSlices());
    return unsliced(merge.finishSlices());
  };
  const times: number[] = [];
  for (let round = 0; round <= rounds; round++) {
    const began = process.cpuUsage();
    for (let at = 0; at < ANSWERS; at++) answer();
    const { user, system } = process.cpuUsage(began);
    if (round > 0) times.push((user + system) / ANSWERS);
  }
  const median = times.sort((a, b) => a - b)[times.length >> 1]!;
  return { rows: [{ shards: SHARDS, groups: 10, usPerAnswer: Math.round(10 * median) / 10 }] };
}

function groupsOf(shard: number) {
  return drawnGroups(7, shard).map(({ key, first, second, third }) => ({
    key,
    first: BigInt(first),
    second: BigInt(second),
    third: BigInt(third),
  }));
}
