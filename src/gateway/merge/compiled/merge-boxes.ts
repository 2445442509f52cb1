import { SLICE, type Slices } from "../../../accumulator/sliced-sort.ts";
import type { FieldAccumulator } from "../field-accumulator.ts";
import type { Batch } from "./batch.ts";

/** What of a table is no column: by box, its accumulator, and by box and row its state. */
export interface BoxStates {
  readonly accumulators: readonly FieldAccumulator[];
  readonly boxes: readonly unknown[][];
}

/** Adds a batch's boxes up; row `i` of it belongs to row `rows[i]` of the table, to none where that is below zero. */
export function* mergeBoxes(table: BoxStates, batch: Batch, rows: Int32Array, shard: number): Slices<void> {
  for (const [index, accumulator] of table.accumulators.entries()) {
    const states = table.boxes[index]!;
    let visited = 0;
    for (const { row, value } of batch.boxes[index]!) {
      const to = rows[row]!;
      if (to < 0) continue;
      states[to] = accumulator.add(states[to] ?? accumulator.empty(), value, shard);
      visited += Array.isArray(value) ? value.length : 1;
      if (visited < SLICE) continue;
      visited = 0;
      yield;
    }
  }
}
