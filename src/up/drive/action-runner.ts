/**
 * Runs the actions of successive plans: at most ACTIONS_MAX at a time, never two on one target, and one that failed not
 * before its pause is over. What succeeds is never remembered: only the next observation tells whether it holds.
 */
import type { Fault } from "../../fault/fault.ts";
import { faultFromUnknown } from "../../fault/fault-from-unknown.ts";
import type { Action } from "../../lifecycle/action.ts";
import { renderAction } from "../../lifecycle/render-plan.ts";
import type { Clock } from "../../process/clock.ts";
import { actionSnapshot, actionTarget } from "./action-target.ts";

export interface ActionFailure {
  readonly text: string;
  readonly snapshot: string | undefined;
  readonly fault: Fault;
}

export interface RunnerOptions {
  readonly clock: Clock;
  readonly execute: (action: Action, signal: AbortSignal) => Promise<void>;
  readonly onFailure: (failure: ActionFailure) => void;
  /** Something ended: it is time to look again. */
  readonly onEnded: () => void;
}

/** Above the 16 shards of a large embedded mesh there is nothing to gain on one machine. */
export const ACTIONS_MAX = 16;
const PAUSE_MIN_MS = 200;
const PAUSE_MAX_MS = 5_000;

interface Failed extends ActionFailure {
  readonly pauseMs: number;
  readonly notBefore: number;
}

export class ActionRunner {
  readonly #options: RunnerOptions;
  readonly #running = new Map<string, { readonly action: Action; readonly ended: Promise<void> }>();
  readonly #failed = new Map<string, Failed>();
  readonly #stop = new AbortController();

  constructor(options: RunnerOptions) {
    this.#options = options;
  }

  /** Starts what may start now; the actions left out come again with the next plan. */
  start(actions: readonly Action[]): void {
    this.#forgetUnwanted(actions);
    const now = this.#options.clock.monotonic();
    for (const action of actions) {
      if (this.#stop.signal.aborted || this.#running.size >= ACTIONS_MAX) return;
      const target = actionTarget(action);
      if (this.#running.has(target) || (this.#failed.get(keyOf(action))?.notBefore ?? 0) > now) continue;
      this.#running.set(target, { action, ended: this.#run(action, target) });
    }
  }

  get busy(): boolean {
    return this.#running.size > 0;
  }

  /** What is being done now; the next call may tell less. */
  underWay(): readonly Action[] {
    return [...this.#running.values()].map(({ action }) => action);
  }

  /** What failed last, of the actions that are still wanted. */
  failures(): readonly ActionFailure[] {
    return [...this.#failed.values()];
  }

  async stop(): Promise<void> {
    this.#stop.abort(new DOMException("the mesh stops", "AbortError"));
    await Promise.all([...this.#running.values()].map(({ ended }) => ended));
  }

  async #run(action: Action, target: string): Promise<void> {
    const key = keyOf(action);
    try {
      await this.#options.execute(action, this.#stop.signal);
      this.#failed.delete(key);
    } catch (error) {
      if (!this.#stop.signal.aborted) this.#fail(action, key, error);
    } finally {
      this.#running.delete(target);
      this.#options.onEnded();
    }
  }

  #fail(action: Action, key: string, error: unknown): void {
    const text = renderAction(action);
    const before = this.#failed.get(key);
    const pauseMs = before === undefined ? PAUSE_MIN_MS : Math.min(before.pauseMs * 2, PAUSE_MAX_MS);
    const fault = faultFromUnknown(error, text);
    const failed = {
      text,
      snapshot: actionSnapshot(action),
      fault,
      pauseMs,
      notBefore: this.#options.clock.monotonic() + pauseMs,
    };
    this.#failed.set(key, failed);
    // Told once, not at every try.
    if (before?.fault.message !== fault.message) this.#options.onFailure(failed);
  }

  /** A failure is of interest while its action is wanted; so the map is no larger than a plan. */
  #forgetUnwanted(actions: readonly Action[]): void {
    const wanted = new Set(actions.map(keyOf));
    for (const key of this.#failed.keys()) if (!wanted.has(key)) this.#failed.delete(key);
  }
}

function keyOf(action: Action): string {
  return `${action.kind} ${actionTarget(action)}`;
}
