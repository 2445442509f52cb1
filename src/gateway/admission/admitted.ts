import { faultFromUnknown } from "../../fault/fault-from-unknown.ts";
import type { Clock } from "../../process/clock.ts";
import type { Gathering } from "../query/gathering.ts";
import type { Admission } from "./admission.ts";
import type { QueryOutcome } from "./concurrency-limit.ts";

/**
 * Does the work of a query that asks shards once it has a slot, which it gives back when no shard works for it any more.
 * Faults: `overloaded`, and those of the work.
 */
export async function admitted<T>(
  admission: Admission,
  clock: Clock,
  open: Gathering,
  work: () => Promise<T>,
): Promise<T> {
  const { query, signal, shardDeadline: deadline } = open;
  const cameAt = clock.monotonic();
  const slot = await admission.enter({ method: query.resolved.plan, deadline, signal });
  query.timings.set("admit", clock.monotonic() - cameAt);
  let outcome: QueryOutcome = "ignored";
  try {
    const result = await work();
    // With a shard missing it took as long as the shard was waited for.
    if (open.missing.size === 0) outcome = "ok";
    return result;
  } catch (error) {
    outcome = outcomeOf(error);
    throw error;
  } finally {
    slot.leave(outcome);
  }
}

function outcomeOf(error: unknown): QueryOutcome {
  const { id } = faultFromUnknown(error, "answer query");
  if (id === "overloaded") return "dropped";
  return id === "deadline-exceeded" ? "late" : "ignored";
}
