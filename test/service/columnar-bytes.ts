import { unsliced } from "../../src/accumulator/sliced-sort.ts";
import type { MethodPlan } from "../../src/merge-plan/method-plan.ts";
import { encodeColumns } from "../../src/service/serve/encode-columns.ts";
import type { Fields } from "../../src/service/serve/part-field.ts";

/** A reply as a gateway receives it in columns; undefined where it goes as a message. */
export function columnarBytes(plan: MethodPlan, reply: Fields, rowsMin?: number): Uint8Array | undefined {
  const pieces = unsliced(encodeColumns(plan, reply, rowsMin));
  // A copy: what is small is concatenated in memory that others share, which a thread cannot be given.
  return pieces && Uint8Array.from(Buffer.concat(pieces));
}
