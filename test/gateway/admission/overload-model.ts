/**
 * A mesh with a known capacity behind the real admission, in virtual time: `servers` queries are worked on at once, each
 * for exp(`serviceMs`); more wait in the mesh, first come, first served, where nobody sees them. Clients come at any
 * rate (Poisson) and may come back as they are advised.
 */

import { Fault } from "../../../src/fault/fault.ts";
import { Admission } from "../../../src/gateway/admission/admission.ts";
import { ADMISSION_DEFAULTS, type AdmissionLimits } from "../../../src/gateway/admission/admission-limits.ts";
import { seeded, VirtualClock } from "../../process/virtual-clock.ts";

export interface ModelOptions {
  readonly seed: number;
  readonly servers: number;
  readonly serviceMs: number;
  readonly deadlineMs: number;
  /** How often a refused client comes back. */
  readonly retries: number;
  readonly limits?: Partial<AdmissionLimits>;
}

/** Of one second of virtual time. */
export interface Second {
  arrived: number;
  good: number;
  late: number;
  refused: number;
  latencySumMs: number;
  refusalMaxMs: number;
}

export class OverloadModel {
  readonly clock = new VirtualClock();
  readonly admission: Admission;
  readonly seconds: Second[] = [];
  readonly #options: ModelOptions;
  readonly #random;
  readonly #method = {};
  readonly #backlog: (() => void)[] = [];
  #busy = 0;
  #rate = 0;
  /** How slow the mesh is: 1 as usual. */
  slowness = 1;

  constructor(options: ModelOptions) {
    this.#options = options;
    this.#random = seeded(options.seed);
    const limits = { ...ADMISSION_DEFAULTS, ...options.limits };
    this.admission = new Admission({ limits, clock: this.clock, randomness: this.#random, takeLoopDelay: () => 0 });
  }

  /** Answers in a second when all servers work. */
  get capacity(): number {
    return (this.#options.servers * 1000) / this.#options.serviceMs;
  }

  /** Lets clients come at this multiple of the capacity for so long. */
  async run(load: number, seconds: number): Promise<Second[]> {
    const isIdle = this.#rate === 0;
    this.#rate = load * this.capacity;
    if (isIdle && this.#rate > 0) this.#next();
    const from = this.seconds.length;
    const start = Math.round(this.clock.monotonic() / 1000);
    for (let second = start; second < start + seconds; second++) {
      this.seconds.push({ arrived: 0, good: 0, late: 0, refused: 0, latencySumMs: 0, refusalMaxMs: 0 });
      await this.clock.run((second + 1) * 1000 - 1e-6);
    }
    await this.clock.run((start + seconds) * 1000);
    return this.seconds.slice(from);
  }

  #next(): void {
    if (this.#rate === 0) return;
    this.clock.after(this.#random.exponential(1000 / this.#rate), () => {
      void this.#ask(this.clock.monotonic() + this.#options.deadlineMs, this.#options.retries);
      this.#next();
    });
  }

  get #now(): Second {
    return this.seconds.at(-1) as Second;
  }

  async #ask(deadline: number, retries: number): Promise<void> {
    const came = this.clock.monotonic();
    this.#now.arrived++;
    const refused = (retryAfterMs: number) => {
      this.#now.refused++;
      this.#now.refusalMaxMs = Math.max(this.#now.refusalMaxMs, this.clock.monotonic() - came);
      if (retries === 0) return;
      this.clock.after(retryAfterMs, () => {
        void this.#ask(this.clock.monotonic() + this.#options.deadlineMs, retries - 1);
      });
    };
    const early = this.admission.turnAway();
    if (early !== undefined) return refused(early);
    try {
      const signal = new AbortController().signal;
      const slot = await this.admission.enter({ method: this.#method, deadline, signal });
      await new Promise<void>((done) => this.#serve(done));
      const isLate = this.clock.monotonic() > deadline;
      slot.leave(isLate ? "dropped" : "ok");
      if (isLate) this.#now.late++;
      else {
        this.#now.good++;
        this.#now.latencySumMs += this.clock.monotonic() - came;
      }
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      refused(error.detail.retryAfterMs ?? 0);
    }
  }

  #serve(done: () => void): void {
    if (this.#busy >= this.#options.servers) return void this.#backlog.push(done);
    this.#busy++;
    this.clock.after(this.#random.exponential(this.#options.serviceMs * this.slowness), () => {
      this.#busy--;
      done();
      const next = this.#backlog.shift();
      if (next !== undefined) this.#serve(next);
    });
  }
}

export function total(seconds: readonly Second[]) {
  const sum = (read: (second: Second) => number) => seconds.reduce((all, second) => all + read(second), 0);
  const good = sum((s) => s.good);
  return {
    goodPerSecond: good / seconds.length,
    refused: sum((s) => s.refused),
    late: sum((s) => s.late),
    meanMs: sum((s) => s.latencySumMs) / Math.max(1, good),
    refusalMaxMs: Math.max(...seconds.map((s) => s.refusalMaxMs)),
  };
}
