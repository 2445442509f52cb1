import { type Row, rounded } from "../../harness/report/median.ts";

export const STALL_FREE = "none";

/** Each row against the one without faults and without hedging: how fast the mesh is by itself. */
export function withRatios(rows: readonly Row[]): Row[] {
  const free = rows.find(({ fault, hedging }) => fault === STALL_FREE && hedging === "off") as Row;
  const over = (row: Row, key: string) => rounded(Number(row[key]) / Number(free[key]));
  return rows.map((row) => ({ ...row, p99Ratio: over(row, "p99Ms"), p999Ratio: over(row, "p999Ms") }));
}

/**
 * What was reached, or that nothing can be said: where a mesh without faults is far slower than its service times alone
 * make it (`naturalP99Ms`), the machine was the fault, and every ratio is small.
 */
export function tailNotes(rows: readonly Row[], naturalP99Ms: number): string[] {
  const free = Number(rows.find(({ fault, hedging }) => fault === STALL_FREE && hedging === "off")?.p99Ms);
  if (!(free <= 2 * naturalP99Ms)) {
    const natural = rounded(naturalP99Ms);
    return [
      `no verdict: p99 without faults is ${free} ms where service times alone give ${natural} ms; the machine was busy`,
    ];
  }
  return rows
    .filter(({ fault, hedging }) => fault !== STALL_FREE && hedging === "on")
    .map(({ fault, p99Ratio, p999Ratio, extraCallsPercent }) => {
      const isMet = Number(p99Ratio) <= 1.5 && Number(p999Ratio) <= 3 && Number(extraCallsPercent) <= 5;
      const aims = "aims ≤ 1.5, ≤ 3, ≤ 5 %";
      return `${fault}: p99 ${p99Ratio}, p99.9 ${p999Ratio} of stall-free, ${extraCallsPercent} % extra (${aims}): ${isMet ? "met" : "not met"}`;
    });
}
