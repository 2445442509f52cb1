import type { DescMessage, Message } from "@bufbuild/protobuf";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import type { MergeExecution } from "../../src/gateway/merge/merge-execution.ts";
import type { ShardRequest } from "../../src/gateway/plan/shard-request.ts";
import type { TopBounds } from "../../src/wire/generated/skynetes/v1/stamp_pb.ts";

export interface ShardAnswer {
  readonly message: Message;
  readonly bounds?: TopBounds | undefined;
}

export interface Driven {
  readonly message: Message;
  readonly rounds: number;
  /** Of all partials, encoded. */
  readonly bytes: number;
  readonly calls: number;
}

/** Plays the spine: asks, hands the answers in as they fall out of `arrival`, until the merge is settled. */
export async function driveMerge(
  merge: MergeExecution,
  response: DescMessage,
  answer: (request: ShardRequest) => ShardAnswer | Promise<ShardAnswer> | "fail",
  arrival: <T>(items: T[]) => T[] = (items) => items,
): Promise<Driven> {
  let rounds = 0;
  let bytes = 0;
  let calls = 0;
  const failed = new Set<number>();
  for (let round = merge.begin(); round.length > 0; round = merge.next()) {
    rounds += 1;
    for (const request of arrival([...round])) {
      if (failed.has(request.shard)) continue;
      calls += 1;
      const reply = await answer(request);
      if (reply === "fail") {
        failed.add(request.shard);
        merge.exclude(request.shard);
        continue;
      }
      const message = toBinary(response, reply.message);
      bytes += message.length;
      merge.accept({ shard: request.shard, request, message, bounds: reply.bounds });
    }
  }
  return { message: fromBinary(response, Buffer.concat(merge.finish())), rounds, bytes, calls };
}

/** Numbers in [0, 1) from a seed (mulberry32): a failing seed can be run again. */
export function seeded(seed: number) {
  let state = seed >>> 0;
  const unit = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (limit: number) => Math.floor(unit() * limit);
  return {
    unit,
    below,
    pick: <T>(items: readonly T[]): T => items[below(items.length)]!,
    shuffle<T>(items: T[]): T[] {
      for (let i = items.length - 1; i > 0; i--) {
        const j = below(i + 1);
        [items[i], items[j]] = [items[j]!, items[i]!];
      }
      return items;
    },
  };
}

export type Seeded = ReturnType<typeof seeded>;
