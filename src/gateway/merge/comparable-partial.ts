import { fromBinary, type Message } from "@bufbuild/protobuf";
import type { Slices } from "../../accumulator/sliced-sort.ts";
import type { MethodPlan, TopRecipe } from "../../merge-plan/method-plan.ts";
import { requestOrder, requestWindow } from "../../merge-plan/request-window.ts";
import { valueOrder } from "../../merge-plan/row-order.ts";
import { TopBoundsSchema } from "../../wire/generated/skynetes/v1/stamp_pb.ts";
import { fieldReader, fieldWriter } from "../../wire/message-field.ts";
import { valueTypeOf } from "../../wire/value-type.ts";
import { answerPieces } from "./answer-pieces.ts";
import { decodePartial } from "./decode-partial.ts";
import { messageAccumulator } from "./message-accumulator.ts";

export interface SentPartial {
  readonly shard: number;
  readonly message: Uint8Array;
  /** A protobuf TopBounds. */
  readonly bounds: Uint8Array | undefined;
  /** 0 or absent: the method's response message. */
  readonly format?: number;
}

const EVERYTHING = { window: { offset: 0, limit: undefined }, budget: { hold() {}, holdBytes() {} } };

/**
 * A partial as the merge sees it: what merging it alone gives, with all its groups. Two partials that no merge can tell
 * apart have the same bytes, whatever the order of their groups, of their fields, or how their numbers were written.
 *
 * A top list that was cut off is compared without the groups that tie with its last one: which of them a shard sends is
 * its own choice, and the bounds make the answer right either way. Undefined for streaming methods and other formats than the
 * message. Faults: those of a partial that cannot be merged.
 */
export function* comparablePartial(
  plan: MethodPlan,
  asked: Message,
  partial: SentPartial,
): Slices<Uint8Array | undefined> {
  if (plan.merge.kind !== "message" || (partial.format ?? 0) !== 0) return undefined;
  const { recipe, top } = plan.merge;
  const message = decodePartial(plan.method.output, partial);
  yield;
  if (top !== undefined) dropLastTies(plan, top, asked, message, partial.bounds);
  const accumulator = messageAccumulator(recipe, EVERYTHING);
  const state = accumulator.empty();
  yield* accumulator.addSlices(state, message, 0);
  yield;
  const alone = yield* accumulator.finishSlices(state);
  yield;
  return Buffer.concat(yield* answerPieces(plan.method.output, alone));
}

function dropLastTies(
  plan: MethodPlan,
  top: TopRecipe,
  asked: Message,
  message: Message,
  bounds: Uint8Array | undefined,
): void {
  const groups = fieldReader(top.field)(message) as readonly Message[];
  const { limit } = requestWindow(plan, asked);
  const last = groups.at(-1);
  if (limit === undefined || last === undefined || groups.length < limit) return;
  if (bounds !== undefined && fromBinary(TopBoundsSchema, bounds).exhausted) return;
  const { field } = requestOrder(plan, top, asked);
  const [read, order] = [fieldReader(field), valueOrder(valueTypeOf(field))];
  const end = read(last);
  const isTied = (group: Message) => {
    const value = read(group);
    return value === undefined || end === undefined ? value === end : order(value, end) === 0;
  };
  fieldWriter(top.field)(
    message,
    groups.filter((group) => !isTied(group)),
  );
}
