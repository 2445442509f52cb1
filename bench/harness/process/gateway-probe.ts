/**
 * Imported into a gateway's process before it starts (`node --import`): tells what cannot be seen from outside. An idle
 * histogram costs one timer in 10 ms.
 */
import { writeFileSync } from "node:fs";
import { Session } from "node:inspector/promises";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { answerQuestions } from "./answer-questions.ts";

const RESOLUTION_MS = 10;
const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
delay.enable();

/** In milliseconds: how much later than it should a timer came. */
export interface LoopDelay {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export interface Holdings {
  readonly heapUsed: number;
  readonly external: number;
  readonly rss: number;
  /** Handles and requests that keep the process alive, by kind. */
  readonly resources: Readonly<Record<string, number>>;
}

let profiling: Session | undefined;
const late = (ns: number) => Math.max(0, Math.round((ns / 1e6 - RESOLUTION_MS) * 100) / 100);

answerQuestions(
  {
    resetLoopDelay: () => delay.reset(),
    loopDelay: (): LoopDelay => ({
      p50Ms: late(delay.percentile(50)),
      p99Ms: late(delay.percentile(99)),
      maxMs: late(delay.max),
    }),
    /** Collects garbage first where `--expose-gc` allows it. */
    holdings: (): Holdings => {
      (globalThis as { gc?: () => void }).gc?.();
      const { heapUsed, external, rss } = process.memoryUsage();
      const resources: Record<string, number> = {};
      for (const name of process.getActiveResourcesInfo()) resources[name] = (resources[name] ?? 0) + 1;
      return { heapUsed, external, rss, resources };
    },
    async startProfile() {
      profiling = new Session();
      profiling.connect();
      await profiling.post("Profiler.enable");
      await profiling.post("Profiler.setSamplingInterval", { interval: 200 });
      await profiling.post("Profiler.start");
    },
    async stopProfile(file: string) {
      if (profiling === undefined) throw new Error("no profile was started");
      const { profile } = await profiling.post("Profiler.stop");
      profiling.disconnect();
      profiling = undefined;
      writeFileSync(file, JSON.stringify(profile));
    },
  },
  { ending: false },
);
