import { defineService } from "../../../src/service/define-service.ts";
import { BenchService } from "../../generated/bench/v1/bench_pb.ts";
import { drawnGroups, drawnServiceMs, numbersFrom } from "./drawn-groups.ts";
import { fillingBlocks } from "./filling-blocks.ts";
import { PodSlots } from "./pod-slots.ts";

/** How a pod behaves beyond what its requests say; may change while it serves. */
export interface PodBehaviour {
  /** Share of calls that stall, each for `stallMs`; the pod draws which, so that another placement does not. */
  readonly stallShare: number;
  readonly stallMs: number;
  /** Service times are so many times as long. */
  readonly slowFactor: number;
  /** Calls that a pod works on at once; more wait in it, first come, first served. 0: any number. */
  readonly slots: number;
}

export const ORDINARY: PodBehaviour = { stallShare: 0, stallMs: 0, slowFactor: 1, slots: 0 };

/** What the pods of one process share. */
export interface PodState {
  calls: number;
  behaviour: PodBehaviour;
}

/** The state of a shard is the shard's number: all else follows from the request. */
export function benchService(pod: PodState, podSeed: number) {
  const stalls = numbersFrom(podSeed, 0x57a11);
  const slots = new PodSlots();
  const waitMs = (seed: number, shard: number, meanServiceUs: number) => {
    const { stallShare, stallMs, slowFactor } = pod.behaviour;
    const ms = drawnServiceMs(seed, shard, (meanServiceUs / 1000) * slowFactor);
    return stallShare > 0 && stalls() / 2 ** 32 < stallShare ? ms + stallMs : ms;
  };
  return defineService<typeof BenchService, number>({
    service: BenchService,
    load: async ({ shard }) => shard,
    memoryBytes: () => 0,
    methods: {
      top(request, shard) {
        pod.calls++;
        const seed = Number(request.seed);
        const ms = waitMs(seed, shard, request.meanServiceUs);
        if (ms === 0) return topPartial(seed, shard);
        return slots.work(pod.behaviour.slots, () => after(ms, () => topPartial(seed, shard)));
      },
      fill(request, shard) {
        pod.calls++;
        return { blocks: fillingBlocks(shard, Number(request.bytes)) };
      },
    },
  });
}

function topPartial(seed: number, shard: number) {
  const groups = drawnGroups(seed, shard).map(({ key, first, second, third }) => ({
    key,
    first: BigInt(first),
    second: BigInt(second),
    third: BigInt(third),
  }));
  return { groups };
}

/** Cancelled calls still end after their time, as most services' do. */
function after<T>(ms: number, make: () => T): Promise<T> {
  return new Promise((resolve) => setTimeout(() => resolve(make()), ms));
}
