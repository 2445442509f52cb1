import { Cron } from "croner";
import type { MeshFacts } from "./mesh-facts.ts";
import { type PlanStep, planStep } from "./plan-step.ts";
import { hasTuple, tuplesOf } from "./route-tuple.ts";

export interface DueSnapshot {
  readonly id: string;
  readonly dueMs: number;
}

/**
 * The newest moment of the schedule after `lastDueMs` and not after now, or `undefined`. Moments that were missed while
 * the mesh was away are not made up for: their snapshots would all have the cut of now.
 */
export function dueSnapshot(cron: string, lastDueMs: number, nowMs: number): DueSnapshot | undefined {
  const schedule = scheduleOf(cron);
  const next = schedule.nextRun(new Date(lastDueMs));
  if (next === null || next.getTime() > nowMs) return undefined;
  // Runs strictly before a moment; a run of this very second counts as due.
  const due = schedule.previousRuns(1, new Date(Math.floor(nowMs / 1000) * 1000 + 1000)).at(0) ?? next;
  return { id: idAt(due.getTime()), dueMs: due.getTime() };
}

/** The first moment of the schedule after now, for a driver that looks no sooner. Infinity: there is none. */
export function nextDueMs(cron: string, nowMs: number): number {
  return scheduleOf(cron).nextRun(new Date(nowMs))?.getTime() ?? Number.POSITIVE_INFINITY;
}

function scheduleOf(cron: string): Cron {
  return new Cron(cron, { paused: true, timezone: "UTC", mode: "5-or-6-parts" });
}

/** `20010401t000000z`: sorts by time. */
function idAt(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replace(/[-:]/g, "").toLowerCase()}z`;
}

/** One scheduled snapshot at a time is on its way, so that a mesh that cannot keep up does not pile them up. */
export function planSchedule(facts: MeshFacts): PlanStep {
  const step = planStep();
  const { schedule } = facts.manifest.mesh;
  if (schedule === undefined) return step;
  const due = dueSnapshot(schedule.cron, facts.observed.lastDueMs, facts.observed.nowMs);
  if (due === undefined) return step;
  const tuples = tuplesOf(facts.observed.table);
  const underWay = facts.observed.snapshots.find(
    (r) => r.scheduled && !r.retiring && !r.bindings.every((b) => hasTuple(tuples, r.id, b.version)),
  );
  if (underWay !== undefined) {
    step.wait(underWay.id, `is still under way, so the snapshot due at ${new Date(due.dueMs).toISOString()} waits`);
  } else if (facts.record(due.id) === undefined) {
    step.do({ kind: "create-scheduled", snapshot: due.id, dueMs: due.dueMs });
  }
  return step;
}
