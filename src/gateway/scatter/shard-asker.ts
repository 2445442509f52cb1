import type { Clock, Randomness } from "../../process/clock.ts";
import type { LineLog } from "../../process/log-line.ts";
import { AskBudgets } from "./call-budget.ts";
import { OverdueWheel } from "./overdue-wheel.ts";
import { PlacementBook } from "./placement-book.ts";
import { type Comparable, ReplicaAudit } from "./replica-audit.ts";
import type { ScatterPolicy } from "./scatter-policy.ts";
import type { ShardTransport } from "./shard-transport.ts";

/** What all questions of a gateway share: what is known of placements and methods, and what may be spent. */
export interface ShardAsker {
  readonly transport: ShardTransport;
  readonly clock: Clock;
  readonly policy: ScatterPolicy;
  readonly book: PlacementBook;
  readonly budgets: AskBudgets;
  readonly wheel: OverdueWheel;
  readonly audit: ReplicaAudit;
  /** What is under way by the query's signal: one listener for a query, however many shards it asks. */
  readonly underWay: WeakMap<AbortSignal, Set<Stoppable>>;
}

export interface Stoppable {
  stop(reason: unknown): void;
}

export interface ShardAskerParts {
  readonly transport: ShardTransport;
  readonly clock: Clock;
  readonly randomness: Randomness;
  readonly policy: ScatterPolicy;
  /** How partials of a method are compared. */
  readonly comparable: Comparable;
  /** Where replicas that differ are told of. */
  readonly log?: LineLog | undefined;
}

export function shardAsker(parts: ShardAskerParts): ShardAsker {
  const { transport, clock, policy } = parts;
  const book = new PlacementBook(policy, clock);
  const budgets = new AskBudgets(policy, clock);
  return {
    transport,
    clock,
    policy,
    book,
    budgets,
    wheel: new OverdueWheel(clock),
    audit: new ReplicaAudit({ ...parts, book, budget: budgets.extra }),
    underWay: new WeakMap(),
  };
}
