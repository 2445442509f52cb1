/** Writing at the reader's pace: what it does not take is not piled up for it, and for ever it is not waited for. */
import { once } from "node:events";
import type { Writable } from "node:stream";
import { Fault } from "../../fault/fault.ts";
import { faultFromUnknown } from "../../fault/fault-from-unknown.ts";
import type { Clock } from "../../process/clock.ts";

export interface ReaderPace {
  readonly clock: Clock;
  /** A reader that takes nothing for so long is given up. */
  readonly stalledMs: number;
  /** Of the query: its end ends the waiting. */
  readonly signal: AbortSignal;
}

/** Between two looks at whether the reader still takes something. */
const PIECE_BYTES = 64 * 1024;

/** Waits until a full writable takes more. Faults: `cancelled`, and whatever ended the query. */
export function drained(out: Writable, pace: ReaderPace): Promise<void> {
  return atPace(pace, (signal) => once(out, "drain", { signal }));
}

/** Writes one chunk and waits until it is on its way to the reader, however much more the writable would keep. */
export function taken(out: Writable, chunk: Uint8Array, pace: ReaderPace): Promise<void> {
  return atPace(pace, (signal) => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    out.write(chunk, (error) => (error ? reject(error) : resolve()));
    return promise;
  });
}

async function atPace(pace: ReaderPace, wait: (signal: AbortSignal) => Promise<unknown>): Promise<void> {
  const { clock, stalledMs, signal } = pace;
  const stalled = new AbortController();
  const stop = clock.after(stalledMs, () => {
    stalled.abort(new Fault("cancelled", `the reader took nothing for ${stalledMs} ms`));
  });
  try {
    signal.throwIfAborted();
    await wait(AbortSignal.any([signal, stalled.signal]));
  } catch (error) {
    throw faultFromUnknown(stalled.signal.reason ?? signal.reason ?? error, "write reply");
  } finally {
    stop();
  }
}

/** Writes all bytes, some at a time. Faults: as `drained`. */
export async function writeInPieces(out: Writable, bytes: Uint8Array, pace: ReaderPace): Promise<void> {
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
    if (!out.write(bytes.subarray(at, at + PIECE_BYTES))) await drained(out, pace);
  }
}
