import type { Slices } from "../../../accumulator/sliced-sort.ts";
import { Fault } from "../../../fault/fault.ts";
import { badPartial } from "../bad-partial.ts";
import type { Partial } from "../merge-execution.ts";
import type { Batch } from "./batch.ts";
import { decodeColumns } from "./columnar-partial.ts";
import type { RowDecoder } from "./row-decoder.ts";

/** A partial's rows, however they are written. Faults: `bad-partial`, `answer-too-large`. */
export function* decodeInto(batch: Batch, { shard, message, format }: Partial, decoder: RowDecoder): Slices<void> {
  try {
    if (format === "columns") yield* decodeColumns(message, decoder, batch);
    else yield* decoder.decode(message, batch);
  } catch (error) {
    if (error instanceof Fault && error.id === "answer-too-large") throw error;
    throw badPartial(shard, (error as Error).message);
  }
}
