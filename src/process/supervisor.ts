/**
 * Keeps child processes running.
 *
 * A child that dies is started again, on the addresses it had, so that whoever holds them (the route table, open
 * channels) need not be told. Between deaths the wait doubles, and starts over once a run has lasted; when a child
 * cannot come back on its old addresses, because somebody else took the port meanwhile, it gets new ones.
 *
 *   starting ──ready line──▶ ready ──death──▶ down ──backoff──▶ starting …
 *
 * One that ends by saying that its configuration is wrong would end so again: it is tried rarely, and its state tells
 * what it said, so that nobody waits for it.
 *
 * Children end with their parent, however it ends: their stdin is a pipe that only the parent holds.
 */

import { type ChildRun, runChild } from "./child-process.ts";
import { type Clock, sleep } from "./clock.ts";
import { EXIT_CODE } from "./exit-code.ts";
import type { LineLog } from "./log-line.ts";
import type { ReadyAddresses } from "./ready-line.ts";

export interface ChildSpec {
  readonly name: string;
  /** Absent: the supervisor's. */
  readonly executable?: string;
  /** The command line after the executable; `last` are the addresses of the former run, to be taken again. */
  readonly argv: (last: ReadyAddresses | undefined) => readonly string[];
  /** Where it was in the life of an earlier supervisor. */
  readonly last?: ReadyAddresses | undefined;
  /** Added to the environment of this process. */
  readonly env?: (last: ReadyAddresses | undefined) => Readonly<Record<string, string | undefined>>;
}

export type ChildState =
  | { readonly kind: "starting" }
  | { readonly kind: "ready"; readonly pid: number; readonly addresses: ReadyAddresses }
  | { readonly kind: "down"; readonly reason: string; readonly isMisconfigured: boolean }
  | { readonly kind: "stopped" };

export interface SupervisedChild {
  readonly name: string;
  state(): ChildState;
  /** Ends it for good. */
  stop(): Promise<void>;
}

export interface SupervisorOptions {
  readonly clock: Clock;
  readonly log: LineLog;
  readonly executable: string;
  readonly readyTimeoutMs: number;
  readonly stopGraceMs: number;
  /** Called at every change of a child's state. */
  readonly onChange: () => void;
}

const BACKOFF_MIN_MS = 50;
const BACKOFF_MAX_MS = 5_000;
/** For a file that somebody mends meanwhile. */
const MISCONFIGURED_PAUSE_MS = 60_000;
/** A run that lasted this long was not a failed start. */
const LASTED_MS = 10_000;
/** After so many failed starts in a row the old addresses are given up. */
const SAME_ADDRESS_TRIES = 3;

interface RunEnd {
  readonly text: string;
  readonly lastWords: string;
  readonly wasReady: boolean;
  /** It never was ready, and said so itself. */
  readonly isMisconfigured: boolean;
}

export function superviseChild(spec: ChildSpec, options: SupervisorOptions): SupervisedChild {
  const { clock, onChange } = options;
  const log = options.log.of(spec.name);
  const stopping = new AbortController();
  let state: ChildState = { kind: "starting" };
  let run: ChildRun | undefined;
  let last = spec.last;

  const become = (next: ChildState) => {
    state = next;
    onChange();
  };

  async function keepRunning(): Promise<void> {
    let failedStarts = 0;
    let backoffMs = BACKOFF_MIN_MS;
    while (!stopping.signal.aborted) {
      const startedAt = clock.monotonic();
      if (state.kind !== "starting") become({ kind: "starting" });
      run = runChild(
        {
          name: spec.name,
          executable: spec.executable ?? options.executable,
          argv: spec.argv(last),
          env: { ...process.env, ...spec.env?.(last) },
          readyTimeoutMs: options.readyTimeoutMs,
        },
        clock,
        log,
      );
      const reason = await oneRun(run);
      if (stopping.signal.aborted) return;
      const lasted = clock.monotonic() - startedAt >= LASTED_MS;
      failedStarts = lasted || reason.wasReady ? 0 : failedStarts + 1;
      if (failedStarts >= SAME_ADDRESS_TRIES) last = undefined;
      backoffMs = lasted ? BACKOFF_MIN_MS : Math.min(backoffMs * 2, BACKOFF_MAX_MS);
      const { isMisconfigured } = reason;
      const pauseMs = isMisconfigured ? MISCONFIGURED_PAUSE_MS : backoffMs;
      log.line(isMisconfigured ? "error" : "warn", `ended: ${reason.text}; starting it again in ${pauseMs} ms`);
      become({ kind: "down", reason: isMisconfigured ? reason.lastWords : reason.text, isMisconfigured });
      await sleep(clock, pauseMs, stopping.signal).catch(() => {});
    }
  }

  async function oneRun(current: ChildRun): Promise<RunEnd> {
    let wasReady = false;
    try {
      const addresses = await current.ready;
      wasReady = true;
      last = addresses;
      if (!stopping.signal.aborted) become({ kind: "ready", pid: current.pid, addresses });
    } catch (error) {
      // Not ready in time: a process that hangs in its start holds ports and files, so it goes before the next try.
      current.kill();
      const end = await current.ended;
      return {
        text: end.code === undefined ? (error as Error).message : end.text,
        lastWords: end.lastWords,
        wasReady,
        isMisconfigured: end.code === EXIT_CODE.configuration,
      };
    }
    const { text, lastWords } = await current.ended;
    return { text, lastWords, wasReady, isMisconfigured: false };
  }

  const kept = keepRunning();
  return {
    name: spec.name,
    state: () => state,
    async stop() {
      stopping.abort();
      await run?.stop(options.stopGraceMs);
      await kept;
      become({ kind: "stopped" });
    },
  };
}
