import type { Action } from "./action.ts";
import type { Waiting } from "./mesh-plan.ts";

/** What one stage of the life of snapshots contributes to the plan. */
export interface PlanStep {
  readonly actions: readonly Action[];
  readonly waiting: readonly Waiting[];
}

/** Gathers while a stage looks through the mesh. */
export interface PlanStepBuilder extends PlanStep {
  do(action: Action): void;
  wait(snapshot: string | undefined, reason: string): void;
}

export function planStep(): PlanStepBuilder {
  const actions: Action[] = [];
  const waiting: Waiting[] = [];
  return {
    actions,
    waiting,
    do: (action) => void actions.push(action),
    wait: (snapshot, reason) => void waiting.push({ snapshot, reason }),
  };
}
