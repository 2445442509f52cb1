/** Who takes a snapshot out: a person, or the schedule because newer ones serve, or because it is older than it says. */
export type RetireReason = "Person" | "Keep" | "KeepFor";

export interface Retirement {
  /** When it was wished for; milliseconds since the Unix epoch. */
  readonly atMs: number;
  readonly why: RetireReason;
}

/** A snapshot that is gone. Without a retirement it was retired when none was written down. */
export interface RetiredSnapshot {
  readonly id: string;
  readonly retirement: Retirement | undefined;
}

/** So many are told with their time and reason, by the control service and in the route table: about 60 bytes each. */
export const RETIREMENTS_KEPT = 256;

/** The newest RETIREMENTS_KEPT, oldest first, in one order: equal facts are equal tables. */
export function newestRetired(retired: readonly RetiredSnapshot[]): readonly RetiredSnapshot[] {
  const at = ({ retirement }: RetiredSnapshot) => retirement?.atMs ?? 0;
  return retired.toSorted((a, b) => at(a) - at(b) || (a.id < b.id ? -1 : 1)).slice(-RETIREMENTS_KEPT);
}
