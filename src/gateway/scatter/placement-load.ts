import type { PlacementEndpoint } from "../table/routing-state.ts";
import type { MethodLatency } from "./method-latency.ts";
import type { ReplicaPolicy } from "./scatter-policy.ts";

/** Least weight of a new latency: a placement that has become slow is known for it after a few calls. */
const NEW_WEIGHT_MIN = 1 / 8;
const FAILING_WEIGHT = 1 / 4;
/** The limit falls by this factor, at most once in so long: calls under way together tell of one overload. */
const LIMIT_FACTOR = 0.7;
const LIMIT_FALLS_EVERY_MS = 100;

interface Estimate {
  ms: number;
  at: number;
}

/** Waits for room at a placement. */
export interface Waiter {
  /** It waits there no more; it leaves all other placements by itself. */
  letIn(placement: PlacementLoad): void;
}

/** What this gateway knows of one placement (node and address) from its own calls there. Times are monotonic. */
export class PlacementLoad {
  readonly endpoint: PlacementEndpoint;
  readonly #policy: ReplicaPolicy;
  /** By the methods' index. */
  readonly #estimates: (Estimate | undefined)[] = [];
  #inFlight = 0;
  #limit: number;
  #limitFellAt = Number.NEGATIVE_INFINITY;
  /** When the first of the calls under way began or the last reply came: since then it has been silent. */
  #silentSince = 0;
  #repliedAt = Number.NEGATIVE_INFINITY;
  #failing = 0;
  #ejectedUntil = Number.NEGATIVE_INFINITY;
  #ejections = 0;
  #losses = 0;
  #lostAt = Number.NEGATIVE_INFINITY;
  /** In the order they came. */
  readonly #waiting = new Set<Waiter>();

  constructor(endpoint: PlacementEndpoint, policy: ReplicaPolicy) {
    this.endpoint = endpoint;
    this.#policy = policy;
    this.#limit = policy.inFlightLimit.start;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  get limit(): number {
    return Math.floor(this.#limit);
  }

  get isFull(): boolean {
    return this.#inFlight >= this.limit;
  }

  get waitingCount(): number {
    return this.#waiting.size;
  }

  get ejectedUntil(): number {
    return this.#ejectedUntil;
  }

  /** It has replied lately, to whatever. */
  isKnown(now: number): boolean {
    return now - this.#repliedAt < this.#policy.forgetMs;
  }

  /** Undefined: not known (any more) for this method. */
  latencyMs(method: MethodLatency, now: number): number | undefined {
    const estimate = this.#estimates[method.index];
    return estimate === undefined || now - estimate.at >= this.#policy.forgetMs ? undefined : estimate.ms;
  }

  /** For how long calls have been under way without any reply: the next one will hardly take less. */
  silentMs(now: number): number {
    return this.#inFlight === 0 ? 0 : now - this.#silentSince;
  }

  begin(now: number): void {
    if (this.#inFlight === 0) this.#silentSince = now;
    this.#inFlight++;
  }

  replied(method: MethodLatency, tookMs: number, now: number): void {
    this.#inFlight--;
    this.#silentSince = now;
    this.#repliedAt = now;
    this.#estimate(method, tookMs, now);
    this.#failing *= 1 - FAILING_WEIGHT;
    this.#losses = 0;
    if (this.#failing < FAILING_WEIGHT) this.#ejections = 0;
    if (this.#inFlight * 2 > this.#limit) {
      this.#limit = Math.min(this.#policy.inFlightLimit.max, this.#limit + 1 / this.#limit);
    }
    this.#letIn();
  }

  /** Nobody waits for it any more: it took at least so long. */
  givenUp(method: MethodLatency, tookMs: number, now: number): void {
    const silent = this.silentMs(now);
    this.#inFlight--;
    const known = this.latencyMs(method, now);
    if (known === undefined || tookMs > known) this.#estimate(method, tookMs, now);
    if (silent >= this.#policy.silentMs) this.#fails(now);
    this.#letIn();
  }

  /** `unfit`: this placement cannot answer. `overload`: it has too much to do. `answer`: it did, with a fault of the request. */
  failed(kind: "unfit" | "overload" | "answer", now: number): void {
    this.#inFlight--;
    this.#silentSince = now;
    if (kind === "unfit") this.#fails(now);
    else this.#repliedAt = now;
    if (kind === "overload" && now - this.#limitFellAt >= LIMIT_FALLS_EVERY_MS) {
      this.#limitFellAt = now;
      this.#limit = Math.max(this.#policy.inFlightLimit.min, Math.min(this.#limit, this.#inFlight + 1) * LIMIT_FACTOR);
    }
    this.#letIn();
  }

  /** Counts a lost call; true when it was lost with others, as when a connection dies under them. */
  isLostTogether(now: number): boolean {
    const { calls, withinMs } = this.#policy.lostTogether;
    this.#losses = now - this.#lostAt <= withinMs ? this.#losses + 1 : 1;
    this.#lostAt = now;
    return this.#losses >= calls;
  }

  /** Left out for a while, at once: the transport knows that it is gone. */
  eject(now: number): void {
    if (this.#ejectedUntil > now) return;
    const forMs = Math.min(this.#policy.ejectMaxMs, this.#policy.ejectMs * 2 ** this.#ejections);
    this.#ejections++;
    this.#ejectedUntil = now + forMs;
    this.#failing = 0;
    // What was known of it was before; it comes back as one that is not known.
    this.#estimates.length = 0;
    this.#repliedAt = Number.NEGATIVE_INFINITY;
  }

  wait(waiter: Waiter): void {
    this.#waiting.add(waiter);
  }

  /** It has been let in elsewhere, or has given up. */
  leave(waiter: Waiter): void {
    this.#waiting.delete(waiter);
  }

  #fails(now: number): void {
    this.#failing += FAILING_WEIGHT * (1 - this.#failing);
    if (this.#failing > this.#policy.failingShareMax) this.eject(now);
  }

  #estimate(method: MethodLatency, ms: number, now: number): void {
    const known = this.#estimates[method.index];
    if (known === undefined) {
      this.#estimates[method.index] = { ms, at: now };
      return;
    }
    const weight = Math.max(NEW_WEIGHT_MIN, 1 - 0.5 ** ((now - known.at) / this.#policy.halfLifeMs));
    known.ms += weight * (ms - known.ms);
    known.at = now;
  }

  #letIn(): void {
    for (const next of this.#waiting) {
      if (this.isFull) return;
      this.#waiting.delete(next);
      next.letIn(this);
    }
  }
}
