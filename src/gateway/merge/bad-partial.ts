import type { Slices } from "../../accumulator/sliced-sort.ts";
import { Fault } from "../../fault/fault.ts";
import { faultFromUnknown } from "../../fault/fault-from-unknown.ts";

/** Runs the merging of one shard's partial; what is wrong with it carries the shard's number. */
export function* blaming(shard: number, slices: Slices<void>): Slices<void> {
  try {
    yield* slices;
  } catch (error) {
    throw blamed(shard, error);
  }
}

/** The same for what went wrong while one shard's partial was merged. */
export function blamed(shard: number, error: unknown): unknown {
  const fault = faultFromUnknown(error, `merge the partial of shard ${shard}`);
  if (fault.id !== "bad-partial" || fault.detail.shard !== undefined) return error;
  return badPartial(shard, fault.message);
}

export function badPartial(shard: number, detail: string): Fault {
  return new Fault("bad-partial", `merge the partial of shard ${shard}: ${detail}`, { shard });
}
