/** How many queries ask shards at once, how many wait for it and for how long, and what the others are told. */
export interface AdmissionLimits {
  /** Queries that ask shards at once: the limit that adapts never goes above it. */
  readonly queriesMax: number;
  /** The limit never goes below it, or nothing could be learned any more. */
  readonly concurrencyMin: number;
  /** The limit before anything is known. */
  readonly concurrencyInitial: number;
  /** Latency under load may be so many times that of an unloaded mesh before the limit shrinks. */
  readonly latencyTolerance: number;
  /** A mean delay of the event loop above it shrinks the limit, whatever the shards' latency says. */
  readonly loopDelayMaxMs: number;
  /** The limit is set anew after so long, when enough queries have ended meanwhile. */
  readonly limitWindowMs: number;
  /** Latency without load is measured at least so often, if need be by halving the limit for a moment. */
  readonly baselineEveryMs: number;
  /** That moment is at most so long, or twenty latencies where queries take longer. */
  readonly baselineProbeMs: number;
  /** Queries that wait for a place, at most. */
  readonly queueMax: number;
  /** A query waits at most so long for a place. */
  readonly queueWaitMaxMs: number;
  /** A queue that has not been empty for so long is no burst: only as many wait then as are served within the target. */
  readonly queueStandingMs: number;
  readonly queueTargetMs: number;
  /** Least time that a refused client is told to stay away. */
  readonly retryAfterMs: number;
  /** Longest time, however many were refused. */
  readonly retryAfterMaxMs: number;
}

export const ADMISSION_DEFAULTS: AdmissionLimits = {
  queriesMax: 256,
  concurrencyMin: 8,
  concurrencyInitial: 32,
  latencyTolerance: 1.5,
  loopDelayMaxMs: 30,
  limitWindowMs: 100,
  baselineEveryMs: 30_000,
  baselineProbeMs: 500,
  queueMax: 512,
  queueWaitMaxMs: 1_000,
  queueStandingMs: 100,
  queueTargetMs: 20,
  retryAfterMs: 200,
  retryAfterMaxMs: 15_000,
};
