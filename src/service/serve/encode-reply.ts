import type { Slices } from "../../accumulator/sliced-sort.ts";
import type { MethodPlan } from "../../merge-plan/method-plan.ts";
import { PartialFormat } from "../../wire/generated/skynetes/v1/shard_pb.ts";
import { encodeColumns } from "./encode-columns.ts";
import { encodeMessage } from "./encode-message.ts";
import { joinPieces } from "./join-pieces.ts";
import type { Fields } from "./part-field.ts";

export interface EncodedPartial {
  /** One after the other. */
  readonly pieces: readonly Uint8Array[];
  readonly format: PartialFormat;
}

export interface WantedPartial {
  /** What the caller reads besides the response message. */
  readonly accept: PartialFormat;
  /** What is to be sent must be one piece. */
  readonly isWhole: boolean;
}

/** A reply as bytes, in a format that the caller accepts: the response message, which every caller does, or columns. */
export function* encodeReply(
  plan: MethodPlan,
  reply: Fields,
  { accept, isWhole }: WantedPartial,
): Slices<EncodedPartial> {
  const columns = accept === PartialFormat.COLUMNS ? yield* encodeColumns(plan, reply) : undefined;
  const pieces = columns ?? (yield* encodeMessage(plan.method.output, reply));
  const format = columns === undefined ? PartialFormat.UNSPECIFIED : PartialFormat.COLUMNS;
  return { pieces: isWhole ? [yield* joinPieces(pieces)] : pieces, format };
}
