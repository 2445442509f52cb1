import type { Message } from "@bufbuild/protobuf";
import type { TopBounds } from "../../wire/generated/skynetes/v1/stamp_pb.ts";
import type { ShardRequest } from "../plan/query-plan.ts";

/** What a shard answered to one request of the current round. */
export interface Partial {
  readonly shard: number;
  /** The request it answers, as `begin` or `next` gave it. */
  readonly request: ShardRequest;
  readonly message: Message;
  readonly bounds: TopBounds | undefined;
}

/**
 * A merge under way: pure, so that it can be tested without a network. The spine asks for a round's requests, hands in
 * what comes back in whatever order, and asks for the next round until there is none.
 */
export interface MergeExecution {
  /** Requests of the first round. */
  begin(): readonly ShardRequest[];
  /** Faults: `bad-partial`, `answer-too-large`. A request may be answered once; a second answer is an assertion. */
  accept(partial: Partial): void;
  /** The shard is given up (partial answers): it takes no part in this round or later ones, nor in the result. */
  exclude(shard: number): void;
  /** Requests of the next round; empty when the answer is settled. Called when every request of the round is done. */
  next(): readonly ShardRequest[];
  /** Faults: `overflow`. */
  finish(): Message;
}
