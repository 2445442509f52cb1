import type { Action } from "./action.ts";

/** What may be done now, and what the rest waits for. */
export interface MeshPlan {
  /** In a fixed order; all may run at the same time. */
  readonly actions: readonly Action[];
  readonly waiting: readonly Waiting[];
  /** One for each record, in the order of the records. */
  readonly phases: readonly PlannedPhase[];
}

export interface Waiting {
  /** Absent: concerns the whole mesh. */
  readonly snapshot: string | undefined;
  readonly reason: string;
}

export type Phase = "Cutting" | "Freezing" | "Sealing" | "Binding" | "Verifying" | "Serving" | "Retiring";

export interface PlannedPhase {
  readonly snapshot: string;
  readonly phase: Phase;
  /** What it waits for first; empty when nothing. */
  readonly message: string;
}
