// Supervises one child and tells its pid; killed by the test.
import { systemClock } from "../../../src/process/clock.ts";
import { lineLog } from "../../../src/process/log-line.ts";
import { superviseChild } from "../../../src/process/supervisor.ts";

const [script, journal] = process.argv.slice(2) as [string, string];
const child = superviseChild(
  { name: "child", argv: () => [script, "0", journal] },
  {
    clock: systemClock,
    log: lineLog({ write: () => {}, format: "json", clock: systemClock }),
    executable: process.execPath,
    readyTimeoutMs: 10_000,
    stopGraceMs: 1_000,
    onChange: () => {
      const state = child.state();
      if (state.kind === "ready") console.log(state.pid);
    },
  },
);
