import { Fault } from "../../fault/fault.ts";

/** More calls at once than any process answers in time; beyond it a refusal is kinder than a queue. */
const CALLS_MAX = 1024;

/** A call under way. */
export interface ActiveCall {
  /** Made when it is first asked for: most handlers end before they would look at it. */
  readonly signal: AbortSignal;
  readonly isCancelled: boolean;
  cancel(reason: DOMException): void;
  throwIfCancelled(): void;
  end(): void;
}

/** The calls under way: their number bounded, and known so that a closing process can wait for them. */
export class ActiveCalls {
  readonly #calls = new Set<ActiveCall>();
  #draining = false;
  #idle: (() => void) | undefined;

  /** Faults: `not-ready` while the process closes, `overloaded` at the bound. */
  begin(): ActiveCall {
    if (this.#draining) throw new Fault("not-ready", "the service is closing", { retryAfterMs: 100 });
    if (this.#calls.size >= CALLS_MAX) {
      throw new Fault("overloaded", `${this.#calls.size} calls are under way`, { retryAfterMs: 100 });
    }
    const call = new CallUnderWay((ended) => this.#end(ended));
    this.#calls.add(call);
    return call;
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
    for (const call of this.#calls) call.cancel(new DOMException(reason, "AbortError"));
  }

  #end(call: ActiveCall): void {
    this.#calls.delete(call);
    if (this.#calls.size === 0) this.#idle?.();
  }
}

class CallUnderWay implements ActiveCall {
  readonly #ended: (call: ActiveCall) => void;
  #controller: AbortController | undefined;
  #reason: DOMException | undefined;

  constructor(ended: (call: ActiveCall) => void) {
    this.#ended = ended;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  get isCancelled(): boolean {
    return this.#reason !== undefined;
  }

  cancel(reason: DOMException): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    this.#controller?.abort(reason);
  }

  throwIfCancelled(): void {
    if (this.#reason !== undefined) throw this.#reason;
  }

  end(): void {
    this.#ended(this);
  }
}
