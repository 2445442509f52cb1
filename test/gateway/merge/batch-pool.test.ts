/** Batches that are used again know nothing of the answer before, and what is large is let go. */
import { create, toBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import {
  DelayService,
  TopDestinationsResponseSchema,
} from "../../../examples/flights/generated/flights/v1/delay_pb.ts";
import { unsliced } from "../../../src/accumulator/sliced-sort.ts";
import { compileMerge } from "../../../src/gateway/merge/compiled/compile-merge.ts";
import { compileMethod } from "../../../src/merge-plan/compile-method.ts";

const { merge } = compileMethod(DelayService.method.topDestinations);
if (merge.kind !== "message") throw new Error("the example is merged as a message");
const { decoder, batches } = compileMerge(merge.recipe)!;

function partialOf(count: number): Uint8Array {
  const destinations = Array.from({ length: count }, (_, at) => ({ destination: `D${at}`, flights: 2n ** 60n }));
  return toBinary(TopDestinationsResponseSchema, create(TopDestinationsResponseSchema, { destinations }));
}

test("a batch that is given back comes again, empty, without the partial that it was read from", () => {
  const batch = batches.take();
  unsliced(decoder.decode(partialOf(9), batch));
  batches.give(batch);
  expect(batches.take()).toBe(batch);
  const [groups] = batch.lists;
  expect([batch.rows, groups!.rows]).toEqual([0, 0]);
  for (const column of groups!.columns) {
    expect(column.bytes).toHaveLength(0);
    expect(column.big).toBeUndefined();
    for (const array of [column.values, column.start, column.end, column.has]) {
      expect([...array].every((value) => value === 0)).toBe(true);
    }
  }
});

test("a batch with room for many rows is let go", () => {
  const batch = batches.take();
  unsliced(decoder.decode(partialOf(2000), batch));
  batches.give(batch);
  expect(batches.take()).not.toBe(batch);
});
