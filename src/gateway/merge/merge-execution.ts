import type { Slices } from "../../accumulator/sliced-sort.ts";
import type { TopBounds } from "../../wire/generated/skynetes/v1/stamp_pb.ts";
import type { ShardRequest } from "../plan/shard-request.ts";

/** What a shard answered to one request of the current round. */
export interface Partial {
  readonly shard: number;
  /** The request it answers, as `begin` or `next` gave it: the very object, for a shard may have several in a round. */
  readonly request: ShardRequest;
  /** In protobuf's wire format, as the shard sent it. */
  readonly message: Uint8Array;
  /** `columns`: the bytes are a `ColumnarPartial`; for merges that accept it. */
  readonly format?: "message" | "columns";
  readonly bounds: TopBounds | undefined;
}

/**
 * The answer in protobuf's wire format, cut between fields of the message or elements of its lists: put together they
 * are what `toBinary` would write of it.
 */
export type AnswerPieces = readonly Uint8Array[];

export interface MergeLimits {
  /** Bytes, as estimated, that groups, sets and lists under merge may hold in memory. */
  readonly groupBytesMax: number;
  /** Told of the same bytes as they come to be held; may refuse. */
  readonly hold?: (bytes: number) => void;
  /** Keys that one request may ask for; more go in several requests. 10,000 unless told. */
  readonly keysPerRequestMax?: number;
}

/**
 * A merge under way: pure, so that it can be tested without a network. The spine asks for a round's requests, hands in
 * what comes back in whatever order, and asks for the next round until there is none.
 *
 * The `…Slices` forms do the same work with a pause about every millisecond; the plain forms run them through. Slices
 * of different partials may be run in turns, but `next` and `finish` only after all of them are done.
 */
export interface MergeExecution {
  /** Whether partials may come as columns. */
  readonly acceptsColumns: boolean;
  /** Requests of the first round. */
  begin(): readonly ShardRequest[];
  /**
   * Faults: `bad-partial`, `answer-too-large`. A request may be answered once; a second answer is an assertion. What an
   * excluded shard sends is ignored. A partial that cannot be decoded leaves no trace and its request pending. One that
   * failed while it was merged may have left traces: where they cannot be taken back, `exclude` of its shard throws the
   * same fault again and the answer as a whole fails.
   */
  accept(partial: Partial): void;
  acceptSlices(partial: Partial): Slices<void>;
  /**
   * The shard is given up (partial answers): it takes no part in this round or later ones, nor in the result. One whose
   * last partial is merged cannot fail any more and must not be given up: an assertion.
   */
  exclude(shard: number): void;
  /** Requests of the next round; empty when the answer is settled. Called when every request of the round is done. */
  next(): readonly ShardRequest[];
  nextSlices(): Slices<readonly ShardRequest[]>;
  /** Faults: `overflow`. */
  finish(): AnswerPieces;
  finishSlices(): Slices<AnswerPieces>;
}
