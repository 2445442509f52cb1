export type Row = Record<string, string | number>;

/** The middle value; of an even number the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length % 2 === 1) return sorted[middle] as number;
  return ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

/** One row of several of the same thing: the median of each number on its own, texts from the first. */
export function medianRow<R extends Row>(rows: readonly R[]): R {
  const [first] = rows;
  if (first === undefined) throw new Error("there is no median of no rows");
  const entries = Object.entries(first).map(([key, value]) => {
    if (typeof value !== "number") return [key, value];
    return [key, rounded(median(rows.map((row) => row[key] as number)))];
  });
  return Object.fromEntries(entries) as R;
}

/** Three significant digits say all that a shared machine can. */
export function rounded(value: number): number {
  if (!Number.isFinite(value) || Number.isInteger(value)) return value;
  return Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(3));
}
