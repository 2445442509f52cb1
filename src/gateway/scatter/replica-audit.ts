import type { Message } from "@bufbuild/protobuf";
import type { Slices } from "../../accumulator/sliced-sort.ts";
import { Fault } from "../../fault/fault.ts";
import { faultFromUnknown } from "../../fault/fault-from-unknown.ts";
import type { MethodPlan } from "../../merge-plan/method-plan.ts";
import { stampDifference } from "../../mesh/stamp.ts";
import type { Clock, Randomness } from "../../process/clock.ts";
import type { LineLog } from "../../process/log-line.ts";
import { inSlices } from "../../process/turn.ts";
import { step } from "../../telemetry/step-channel.ts";
import { PartialFormat } from "../../wire/generated/skynetes/v1/shard_pb.ts";
import type { CallBudget } from "./call-budget.ts";
import type { PlacementBook } from "./placement-book.ts";
import type { PlacementLoad } from "./placement-load.ts";
import { chooseReplica } from "./replica-choice.ts";
import type { ScatterPolicy } from "./scatter-policy.ts";
import { callOf, type ShardQuestion } from "./shard-question.ts";
import type { ShardReply, ShardTransport } from "./shard-transport.ts";
import { tellsOfPlacement } from "./worth-retrying.ts";

/** Two partials of one question are equal when these bytes are. Undefined: they cannot be compared. */
export type Comparable = (
  plan: MethodPlan,
  asked: Message,
  partial: Pick<ShardReply, "message" | "bounds" | "format"> & { readonly shard: number },
) => Slices<Uint8Array | undefined>;

export interface AuditParts {
  readonly transport: ShardTransport;
  readonly clock: Clock;
  readonly randomness: Randomness;
  readonly policy: ScatterPolicy;
  readonly book: PlacementBook;
  readonly budget: CallBudget;
  readonly comparable: Comparable;
  readonly log?: LineLog | undefined;
}

/** Two placements that answered one question differently, each with the right stamp. */
export interface FoundDifference {
  readonly shard: number;
  readonly snapshot: string;
  readonly version: string;
  readonly nodes: readonly string[];
}

/** Of each shard and snapshot the newest; above it the oldest is forgotten, which has been looked at long ago. */
const DIFFERENCES_MAX = 256;

export type AuditOutcome = "equal" | "different" | "not-comparable" | "failed";

/**
 * Asks a second placement, now and then, what a first one has answered, and compares: replicas at one snapshot with one
 * version must agree, and nobody else would ever notice. The answer has gone its way by then; an audit that fails, or that
 * finds a difference, changes nothing but what is counted and logged.
 */
export class ReplicaAudit {
  readonly #parts: AuditParts;
  /** Answers until the next one. Random, or the order of shards would choose which are ever audited. */
  #countdown: number;
  #underWay = 0;
  readonly #differences = new Map<string, FoundDifference>();

  constructor(parts: AuditParts) {
    this.#parts = parts;
    this.#countdown = this.#nextIn();
  }

  /** What was found since the start: whoever drives the mesh finds out which of the replicas is wrong. */
  get differences(): readonly FoundDifference[] {
    return [...this.#differences.values()];
  }

  consider(question: ShardQuestion, first: PlacementLoad, reply: ShardReply): void {
    if (--this.#countdown > 0) return;
    const { policy, budget, book, clock } = this.#parts;
    if (policy.audit.share <= 0) return;
    this.#countdown = this.#nextIn();
    if (!question.plan.deterministic || question.replicas.length < 2) return;
    if (reply.message.length > policy.audit.bytesMax || this.#underWay >= policy.audit.underWayMax) return;
    const now = clock.monotonic();
    const method = book.method(question.path);
    const choice = chooseReplica({
      book,
      replicas: book.replicas(question.replicas),
      method,
      tried: [{ placement: first }],
      policy: policy.replica,
      turn: book.nextTurn(question.expected.shard),
      now,
    });
    if (choice?.standing !== "fit" || book.isHot(choice.placement.inFlight) || method.isSlow) return;
    if (budget.isScarce || question.deadline <= now || !budget.take()) return;
    this.#underWay++;
    // The merge may give the message's memory away meanwhile.
    const kept = reply.isOwn === true ? { ...reply, message: Buffer.from(reply.message) } : reply;
    const second = choice.placement;
    const { shard, snapshot, serviceVersion } = question.expected;
    const facts = {
      shard,
      snapshot,
      version: serviceVersion,
      path: question.path,
      first: first.endpoint.node,
      second: second.endpoint.node,
    };
    void step("gateway", "replica audit", facts, async (event) => {
      const outcome = await this.#compare(question, first, kept, second);
      this.#underWay--;
      event.facts.outcome = outcome;
      if (outcome !== "different") return;
      const text = `replicas of shard ${shard} differ at snapshot "${snapshot}"`;
      this.#parts.log?.line("error", text, { ...facts });
      const nodes = [first.endpoint.node, second.endpoint.node].sort();
      this.#found({ shard, snapshot, version: serviceVersion, nodes });
    });
  }

  #found(difference: FoundDifference): void {
    const key = `${difference.shard} ${difference.snapshot}`;
    this.#differences.delete(key);
    this.#differences.set(key, difference);
    for (const oldest of this.#differences.keys()) {
      if (this.#differences.size <= DIFFERENCES_MAX) break;
      this.#differences.delete(oldest);
    }
  }

  /**
   * Partials are compared as messages: one that came in columns is asked for once more, and may be larger so. Nobody waits
   * for it, so queries have their turns meanwhile.
   */
  async #compare(
    question: ShardQuestion,
    first: PlacementLoad,
    firstReply: ShardReply,
    second: PlacementLoad,
  ): Promise<AuditOutcome> {
    const { clock, comparable, policy } = this.#parts;
    const { plan, asked, expected } = question;
    const { shard } = expected;
    const isTooLarge = (reply: ShardReply) => reply.message.length > policy.audit.bytesMax;
    const isMessage = (firstReply.format ?? PartialFormat.UNSPECIFIED) === PartialFormat.UNSPECIFIED;
    const asMessage = isMessage ? firstReply : await this.#ask(question, first);
    if (asMessage === undefined) return "failed";
    if (isTooLarge(asMessage)) return "not-comparable";
    const reply = await this.#ask(question, second);
    if (reply === undefined) return "failed";
    if (isTooLarge(reply)) return "not-comparable";
    try {
      const one = await inSlices(comparable(plan, asked, { ...asMessage, shard }), clock);
      const other = await inSlices(comparable(plan, asked, { ...reply, shard }), clock);
      if (one === undefined || other === undefined) return "not-comparable";
      return Buffer.compare(one, other) === 0 ? "equal" : "different";
    } catch (error) {
      // A partial that cannot be merged is told of by the query that merges it.
      if (error instanceof Fault) return "not-comparable";
      return "failed";
    }
  }

  /** What the placement answers, as a message; undefined when it does not, or not for the state that was asked for. */
  async #ask(question: ShardQuestion, placement: PlacementLoad): Promise<ShardReply | undefined> {
    const { transport, clock, book } = this.#parts;
    // Its query has ended by then, and what it holds with it.
    const { accept: _, memory: _ended, ...plain } = question;
    const method = book.method(question.path);
    const startedAt = clock.monotonic();
    placement.begin(startedAt);
    try {
      // Not the query's signal: it has its answer, and ends.
      const call = callOf(plain, placement.endpoint, question.deadline - startedAt, undefined);
      const reply = await transport.unary(call, new AbortController().signal);
      placement.replied(method, clock.monotonic() - startedAt, clock.monotonic());
      const isRight = reply.stamp !== undefined && stampDifference(question.expected, reply.stamp) === undefined;
      return isRight ? reply : undefined;
    } catch (error) {
      const tells = tellsOfPlacement(faultFromUnknown(error, `audit shard ${question.expected.shard}`));
      const now = clock.monotonic();
      if (tells === "slow") placement.givenUp(method, now - startedAt, now);
      else placement.failed(tells, now);
      return undefined;
    }
  }

  #nextIn(): number {
    const { policy, randomness } = this.#parts;
    return policy.audit.share <= 0
      ? Number.POSITIVE_INFINITY
      : Math.max(1, Math.round((randomness.unit() * 2) / policy.audit.share));
  }
}
