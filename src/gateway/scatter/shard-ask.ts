import assert from "node:assert";
import { Fault } from "../../fault/fault.ts";
import { faultFromUnknown } from "../../fault/fault-from-unknown.ts";
import type { Stamp } from "../../mesh/stamp.ts";
import { type StepEvent, step } from "../../telemetry/step-channel.ts";
import { outgoingTraceparent } from "../../telemetry/trace-context.ts";
import { Attempt, stampFault } from "./attempt.ts";
import type { MethodLatency } from "./method-latency.ts";
import type { WheelEntry } from "./overdue-wheel.ts";
import type { PlacementLoad, Waiter } from "./placement-load.ts";
import type { ReplicaAudit } from "./replica-audit.ts";
import { type Choice, chooseReplica } from "./replica-choice.ts";
import type { ShardAsker, Stoppable } from "./shard-asker.ts";
import { type AskKind, type CallStory, callOf, type ShardQuestion } from "./shard-question.ts";
import type { ShardCall, ShardTransport, TransportKind } from "./shard-transport.ts";
import { isAboutTheRequest, isWayLost, isWorthRetrying } from "./worth-retrying.ts";

/** One for all: nobody sees it but calls that are cancelled. */
const BEATEN = new Fault("cancelled", "another placement answered first");

export interface Vouched {
  readonly stamp: Stamp | undefined;
  readonly transport?: TransportKind;
}

/** Unary or streaming. */
export interface Way<R> {
  send(transport: ShardTransport, call: ShardCall, signal: AbortSignal): Promise<R>;
  taken(audit: ReplicaAudit, question: ShardQuestion, placement: PlacementLoad, reply: R): void;
}

/**
 * One question to one shard, from the first call to the one reply that is taken. Calls of it may be under way at several
 * placements; the first reply with the right stamp is taken, all others are cancelled, and what they still say is dropped.
 *
 *     first ──▶ taken
 *       ├─ overdue ──▶ hedge, at a placement not asked yet
 *       └─ fault ────▶ retry, or failover when the way to the placement was lost under many calls
 *
 * Each kind of further call happens at most once and is paid from a budget; without one, the fault is the answer.
 */
export class ShardAsk<R extends Vouched> implements WheelEntry, Waiter {
  slot = -1;
  place = -1;
  readonly #asker: ShardAsker;
  readonly #question: ShardQuestion;
  readonly #way: Way<R>;
  /** All that is under way for the query. */
  readonly #siblings: Set<Stoppable>;
  readonly #signal: AbortSignal;
  readonly #method: MethodLatency;
  readonly #replicas: readonly PlacementLoad[];
  readonly #askedAt: number;
  readonly #attempts: Attempt[] = [];
  #resolve!: (answer: R & { readonly call: CallStory }) => void;
  #reject!: (fault: Fault) => void;
  #sentAt = 0;
  #settled = false;
  #fault: Fault | undefined;
  #isOverdue = false;
  #isPutOff = false;
  #firstEvent: StepEvent | undefined;
  #endWait: (() => void) | undefined;
  #endPause: (() => void) | undefined;

  constructor(asker: ShardAsker, question: ShardQuestion, way: Way<R>, siblings: Set<Stoppable>, signal: AbortSignal) {
    this.#asker = asker;
    this.#question = question;
    this.#way = way;
    this.#siblings = siblings;
    this.#signal = signal;
    this.#method = asker.book.method(question.path);
    this.#replicas = asker.book.replicas(question.replicas);
    this.#askedAt = asker.clock.monotonic();
  }

  start(): Promise<R & { readonly call: CallStory }> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
      this.#siblings.add(this);
      this.#asker.budgets.earn();
      const choice = this.#choose(this.#askedAt);
      if (choice?.standing === "full") this.#waitForRoom();
      else if (choice !== undefined) this.#begin(choice.placement, this.#askedAt);
      else {
        const { shard } = this.#question.expected;
        this.#fail(new Fault("shard-unavailable", `ask shard ${shard}: it has no placement`, { shard }));
      }
    });
  }

  /** The query has ended, for whatever reason; the transport hears it from the same signal. */
  stop(reason: unknown): void {
    this.#fail(faultFromUnknown(reason, `ask shard ${this.#question.expected.shard}`));
  }

  letIn(placement: PlacementLoad): void {
    this.#endWait?.();
    this.#endWait = undefined;
    this.#begin(placement, this.#asker.clock.monotonic());
  }

  isOverdue(): void {
    if (!this.#isOverdue) this.#method.note(true);
    this.#isOverdue = true;
  }

  /** Asks another placement too, where that promises something and is paid for. */
  act(now: number): void {
    const { extra } = this.#asker.budgets;
    if (this.#method.isSlow) {
      this.#withhold("hedge", "most are slow");
    } else if (extra.isScarce && !this.#isPutOff) {
      this.#isPutOff = true;
      this.#asker.wheel.enter(this, this.#sentAt + this.#method.delayMs(true) - now, now);
    } else if (this.#question.deadline - now > this.#method.typicalMs) {
      const choice = this.#choose(now);
      if (choice?.standing !== "fit") return;
      if (extra.take()) this.#attempt("hedge", choice.placement, now);
      else this.#withhold("hedge", "budget");
    }
  }

  #choose(now: number): Choice | undefined {
    const { book, policy } = this.#asker;
    return chooseReplica({
      book,
      replicas: this.#replicas,
      method: this.#method,
      tried: this.#attempts,
      policy: policy.replica,
      turn: book.nextTurn(this.#question.expected.shard),
      now,
    });
  }

  #waitForRoom(): void {
    const { expected, deadline } = this.#question;
    const what = `ask shard ${expected.shard}`;
    const { book, clock } = this.#asker;
    try {
      const leave = book.wait(this.#replicas, this, what);
      // No transport has the question yet that would keep its deadline.
      const stopTimer = clock.after(deadline - this.#askedAt, () => {
        const text = `${what}: no placement had room in time`;
        this.#fail(new Fault("deadline-exceeded", text, { shard: expected.shard }));
      });
      this.#endWait = () => {
        stopTimer();
        leave();
      };
    } catch (error) {
      this.#fail(faultFromUnknown(error, what));
    }
  }

  #begin(placement: PlacementLoad, now: number): void {
    this.#sentAt = now;
    this.#attempt("first", placement, now);
    const { policy, wheel } = this.#asker;
    const mayHedge = this.#question.plan.deterministic && this.#replicas.length > 1 && policy.extra.share > 0;
    if (mayHedge && !this.#settled) wheel.enter(this, this.#method.delayMs(false), now);
  }

  #attempt(kind: AskKind, placement: PlacementLoad, now: number): void {
    const { expected, path, deadline, traceparent } = this.#question;
    const { shard, serviceVersion: version } = expected;
    if (deadline <= now) {
      this.#fail(new Fault("deadline-exceeded", `ask shard ${shard}: no time left`, { shard }));
      return;
    }
    const attempt = new Attempt(kind, placement, this.#method, now);
    const { node } = placement.endpoint;
    const facts = { shard, node, version, attempt: this.#attempts.push(attempt), kind, path };
    const work = (event: StepEvent) => {
      this.#firstEvent ??= event;
      const trace = outgoingTraceparent() ?? traceparent;
      const call = callOf(this.#question, placement.endpoint, deadline - now, trace);
      attempt.call = call;
      return this.#way.send(this.#asker.transport, call, this.#signal).then(
        (reply) => this.#replied(attempt, event, reply),
        (error: unknown) => this.#failed(attempt, event, faultFromUnknown(error, `ask shard ${shard}`)),
      );
    };
    // The timer's context is nobody's: a hedge belongs to the call that was overdue.
    const parent = kind === "hedge" ? this.#firstEvent : undefined;
    step("gateway", "shard call", facts, work, parent).then(undefined, mustBeFault);
  }

  #replied(attempt: Attempt, event: StepEvent, reply: R): void {
    if (this.#settled) {
      event.facts.dropped = true;
      // What is left of a stream that came too late.
      attempt.cancel(BEATEN);
      return;
    }
    if (reply.transport !== undefined) event.facts.transport = reply.transport;
    const fault = stampFault(this.#question.expected, reply.stamp, attempt.placement.endpoint.node);
    if (fault === undefined) {
      const now = this.#asker.clock.monotonic();
      attempt.replied(now);
      this.#take(attempt, reply, now);
    } else {
      // Of a stream more would follow.
      attempt.cancel(fault);
      this.#failed(attempt, event, fault);
    }
  }

  #take(attempt: Attempt, reply: R, now: number): void {
    assert(!this.#settled, "a question has one answer");
    this.#method.observe(now - this.#sentAt, now);
    if (!this.#isOverdue) this.#method.note(false);
    this.#settle(BEATEN, now);
    // Into the reply itself, which is nobody else's: a copy of it would cost as much as all the rest here.
    const taken = reply as R & { call: CallStory };
    taken.call = {
      node: attempt.placement.endpoint.node,
      wonBy: attempt.kind,
      attempts: this.#attempts.length,
      hedged: this.#attempts.length > 1 && this.#attempts.some(({ kind }) => kind === "hedge"),
      queuedMs: this.#sentAt - this.#askedAt,
      tookMs: now - attempt.startedAt,
      totalMs: now - this.#askedAt,
    };
    this.#resolve(taken);
    this.#way.taken(this.#asker.audit, this.#question, attempt.placement, reply);
  }

  /** A fault of one call is the question's only when nothing else is under way and nothing more is tried. Throws it. */
  #failed(attempt: Attempt, event: StepEvent, fault: Fault): void {
    if (this.#settled) {
      event.facts.dropped = true;
      return;
    }
    const now = this.#asker.clock.monotonic();
    event.facts.fault = fault.id;
    // Told by the stamp, or by a process that the call was not meant for.
    if (fault.id === "stamp-mismatch") event.facts.mismatch = true;
    attempt.failed(fault, now);
    if (attempt.kind !== "hedge" || this.#fault === undefined) this.#fault = fault;
    if (isAboutTheRequest(fault)) this.#fail(fault);
    else if (!this.#attempts.some(({ isOpen }) => isOpen) && !this.#triesAgain(attempt, fault, now)) {
      this.#fail(this.#fault);
    }
    throw fault;
  }

  #triesAgain({ placement }: Attempt, fault: Fault, now: number): boolean {
    const { policy, budgets, clock } = this.#asker;
    if (!isWorthRetrying(fault) || this.#question.deadline - now <= policy.retryTimeLeftMs) return false;
    const isLost = isWayLost(fault) || (fault.id === "shard-unavailable" && placement.isLostTogether(now));
    const kind = isLost ? "failover" : "retry";
    if (this.#attempts.some((attempt) => attempt.kind === kind)) return false;
    if (!budgets[kind].take()) {
      this.#withhold(kind, "budget");
      return false;
    }
    const again = () => {
      const at = clock.monotonic();
      const choice = this.#choose(at);
      if (choice !== undefined) this.#attempt(kind, choice.placement, at);
    };
    if (this.#replicas.length === 1) this.#endPause = clock.after(policy.retryAfterMs, again);
    else again();
    return true;
  }

  #fail(fault: Fault): void {
    this.#settle(fault, this.#asker.clock.monotonic());
    this.#reject(fault);
  }

  /** Nothing of the question is under way any more. */
  #settle(reason: Fault, now: number): void {
    this.#settled = true;
    this.#siblings.delete(this);
    this.#asker.wheel.leave(this);
    this.#endWait?.();
    this.#endWait = undefined;
    this.#endPause?.();
    for (const attempt of this.#attempts) {
      if (attempt.giveUp(now) && !this.#signal.aborted) attempt.cancel(reason);
    }
  }

  #withhold(kind: AskKind, why: string): void {
    const facts = { shard: this.#question.expected.shard, kind, why };
    void step("gateway", "call withheld", facts, async () => {});
  }
}

/** Faults have been told to whoever asked; anything else is a mistake here, which must not go unseen. */
function mustBeFault(error: unknown): void {
  if (!(error instanceof Fault)) throw error;
}
