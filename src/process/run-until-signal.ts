/**
 * The life of a long-lived process: start parts, run, and at a signal close them in reverse order.
 *
 *   SIGINT / SIGTERM        orderly stop, exit code 0
 *   a second one, later     exit at once, 130
 *   stdin at its end        orderly stop, when a supervisor holds the other end: so no child outlives a killed parent
 *   a part that hangs       exit 1 after the grace, naming the part
 *
 * A supervised process does not stop by SIGINT: Ctrl-C reaches the whole process group, and the supervisor decides the
 * order in which its children stop.
 */
import type { Clock } from "./clock.ts";
import { EXIT_CODE } from "./exit-code.ts";
import type { LineLog } from "./log-line.ts";

/**
 * One Ctrl-C may come as two signals within milliseconds, from the terminal and from npm; a person takes longer to ask
 * again.
 */
const SAME_REQUEST_MS = 500;

/** Set in the environment of a child whose stdin is a pipe to its supervisor. */
export const SUPERVISED_VARIABLE = "SKYNETES_SUPERVISED";

export interface RunningProcess {
  /** Aborts when the process is to stop. */
  readonly signal: AbortSignal;
  /** Registers what has been started; closed last in, first out. */
  opened(name: string, close: () => Promise<void> | void): void;
  /** Stops the process because it cannot go on; it ends by the error. */
  fail(error: unknown): void;
}

/** What the outside does to a process; replaced in tests. */
export interface ProcessEvents {
  onSignal(name: "SIGINT" | "SIGTERM", work: () => void): void;
  /** Calls `work` when a supervisor has gone away; never when there is none. */
  onOrphaned(work: () => void): void;
  readonly supervised: boolean;
  exit(code: number): void;
}

export interface RunOptions {
  readonly clock: Clock;
  readonly log: LineLog;
  readonly events: ProcessEvents;
  /** For all parts together. */
  readonly stopGraceMs: number;
}

/** Runs `start`, waits for the stop, closes, and returns when all is closed. Rejects with what ended it otherwise. */
export async function runUntilSignal(
  options: RunOptions,
  start: (running: RunningProcess) => Promise<void>,
): Promise<void> {
  const { events, log } = options;
  const stop = new AbortController();
  const parts: { name: string; close: () => Promise<void> | void }[] = [];
  let stopAskedAt = 0;
  let failure: { readonly error: unknown } | undefined;

  const requestStop = (why: string) => {
    if (stop.signal.aborted) return;
    stopAskedAt = options.clock.monotonic();
    log.line("info", `stopping: ${why}`);
    stop.abort(new DOMException(why, "AbortError"));
  };
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    events.onSignal(name, () => {
      if (name === "SIGINT" && events.supervised) return;
      const isAskedAgain = stop.signal.aborted && options.clock.monotonic() - stopAskedAt >= SAME_REQUEST_MS;
      if (isAskedAgain) events.exit(EXIT_CODE.interrupted);
      requestStop(name);
    });
  }
  events.onOrphaned(() => requestStop("the supervisor has gone"));

  const running: RunningProcess = {
    signal: stop.signal,
    opened: (name, close) => void parts.push({ name, close }),
    fail(error) {
      failure ??= { error };
      stop.abort(error);
    },
  };
  try {
    await start(running);
    await aborted(stop.signal);
  } catch (error) {
    if (!stop.signal.aborted) failure ??= { error };
    stop.abort(error);
  }
  await closeInReverse(parts, options);
  if (failure !== undefined) throw failure.error;
}

async function closeInReverse(
  parts: readonly { name: string; close: () => Promise<void> | void }[],
  { clock, log, events, stopGraceMs }: RunOptions,
): Promise<void> {
  let closing = "";
  const tooLate = clock.after(stopGraceMs, () => {
    log.line("error", `stop ${closing}: not done after ${stopGraceMs} ms`);
    events.exit(EXIT_CODE.failure);
  });
  for (const part of parts.toReversed()) {
    closing = part.name;
    try {
      await part.close();
    } catch (error) {
      // The others must still be closed.
      log.line("error", `stop ${part.name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  tooLate();
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** The real outside. */
export function processEvents(): ProcessEvents {
  const supervised = process.env[SUPERVISED_VARIABLE] === "1";
  return {
    supervised,
    onSignal: (name, work) => void process.on(name, work),
    onOrphaned(work) {
      if (!supervised) return;
      process.stdin.on("end", work).on("error", work).on("close", work).resume();
      // The pipe alone must not keep a process alive that is done.
      (process.stdin as { unref?: () => void }).unref?.();
    },
    exit: (code) => process.exit(code),
  };
}
