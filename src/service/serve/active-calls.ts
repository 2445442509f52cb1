import { Fault } from "../../fault/fault.ts";

/** More calls at once than any process answers in time; beyond it a refusal is kinder than a queue. */
const CALLS_MAX = 1024;

/** A call under way. */
export interface ActiveCall {
  readonly signal: AbortSignal;
  cancel(reason: string): void;
  end(): void;
}

/** The calls under way: their number bounded, and known so that a closing process can wait for them. */
export class ActiveCalls {
  readonly #calls = new Set<AbortController>();
  #draining = false;
  #idle: (() => void) | undefined;

  /** Faults: `not-ready` while the process closes, `overloaded` at the bound. */
  begin(): ActiveCall {
    if (this.#draining) throw new Fault("not-ready", "the service is closing", { retryAfterMs: 100 });
    if (this.#calls.size >= CALLS_MAX) {
      throw new Fault("overloaded", `${this.#calls.size} calls are under way`, { retryAfterMs: 100 });
    }
    const controller = new AbortController();
    this.#calls.add(controller);
    return {
      signal: controller.signal,
      cancel: (reason) => controller.abort(new DOMException(reason, "AbortError")),
      end: () => {
        this.#calls.delete(controller);
        if (this.#calls.size === 0) this.#idle?.();
      },
    };
  }

  /** Refuses new calls; resolves when the last one has ended. */
  drain(): Promise<void> {
    this.#draining = true;
    return new Promise((resolve) => {
      if (this.#calls.size === 0) resolve();
      else this.#idle = resolve;
    });
  }

  cancelAll(reason: string): void {
    for (const controller of this.#calls) controller.abort(new DOMException(reason, "AbortError"));
  }
}
