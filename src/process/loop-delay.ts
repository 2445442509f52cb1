import { monitorEventLoopDelay } from "node:perf_hooks";

/** Between two looks. */
const LOOK_EVERY_MS = 20;
const NS_PER_MS = 1e6;

export interface LoopDelay {
  /** How late the event loop was on average since the last call, in milliseconds. */
  take(): number;
  close(): void;
}

/** Measured by a timer outside of JavaScript, which keeps no process alive. */
export function watchLoopDelay(): LoopDelay {
  const histogram = monitorEventLoopDelay({ resolution: LOOK_EVERY_MS });
  histogram.enable();
  return {
    take() {
      // What is recorded is the time between two looks.
      const lateMs = histogram.count === 0 ? 0 : histogram.mean / NS_PER_MS - LOOK_EVERY_MS;
      histogram.reset();
      return Math.max(0, lateMs);
    },
    close: () => void histogram.disable(),
  };
}
