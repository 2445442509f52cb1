import { medianRow, type Row } from "./median.ts";

export interface Cell<R extends Row> {
  /** For the line of progress. */
  readonly name: string;
  measure(): Promise<R>;
}

/**
 * Measures every cell once a round (A B C A B C …), so that what the machine does meanwhile meets all of them alike, and
 * takes medians.
 */
export async function interleaved<R extends Row>(cells: readonly Cell<R>[], rounds: number): Promise<R[]> {
  const measured = cells.map(() => [] as R[]);
  for (let round = 1; round <= rounds; round++) {
    for (const [i, cell] of cells.entries()) {
      progress(`round ${round}/${rounds}: ${cell.name}`);
      measured[i]?.push(await cell.measure());
    }
  }
  progress("");
  return measured.map(medianRow);
}

/** Only for who looks: a log would fill with it. */
export function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${text}`);
}
