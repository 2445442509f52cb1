import { systemClock } from "../process/clock.ts";
import { type LineLog, stderrLog } from "../process/log-line.ts";
import { printReady, type ReadyAddresses } from "../process/ready-line.ts";
import { processEvents, type RunningProcess, runUntilSignal } from "../process/run-until-signal.ts";
import type { ProgramFacts } from "./program-facts.ts";

/** Above all that a part may take to drain. */
const STOP_GRACE_MS = 30_000;

/** Runs a part until a signal; `start` returns what the ready line shall say. */
export async function runLong(
  facts: Pick<ProgramFacts, "flushCompileCache">,
  start: (running: RunningProcess, log: LineLog) => Promise<ReadyAddresses | undefined>,
): Promise<void> {
  const log = stderrLog(systemClock);
  await runUntilSignal(
    { clock: systemClock, log, events: processEvents(), stopGraceMs: STOP_GRACE_MS },
    async (running) => {
      const ready = await start(running, log);
      if (ready !== undefined) printReady(ready);
      facts.flushCompileCache();
    },
  );
}
