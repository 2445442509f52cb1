import { type Row, rounded } from "../../harness/report/median.ts";

/** The aims of `scatter`, each with the worst of what was measured. */
export function scatterNotes(rows: readonly Row[]): string[] {
  const notes = [
    worst(rows, "gateway CPU, of go's", "go", "cpuUsPerAnswer", 1 / 3),
    worst(rows, "gateway CPU, of go-stream's", "go-stream", "cpuUsPerAnswer", 2),
    worst(rows, "gateway and services' CPU, of go's", "go", "totalCpuUsPerAnswer", 1),
    least(rows, "answers per second closed, of go's", "go", 2),
  ];
  const ours = rows.filter((row) => row.peer === "skynetes");
  const delay = Math.max(...ours.map((row) => Number(row.loopDelayP99Ms)));
  notes.push(`event-loop delay p99: at most ${delay} ms (aim ≤ 10)`);
  return notes.filter((note) => note !== undefined);
}

/** The aim of `mesh`. */
export function meshNotes(rows: readonly Row[]): string[] {
  const note = worst(rows, "gateway, Envoys and services' CPU, of go's", "go", "totalCpuUsPerAnswer", 1 / 4);
  return note === undefined ? [] : [note];
}

function worst(rows: readonly Row[], what: string, peer: string, key: string, aim: number): string | undefined {
  const found = compared(rows, peer, key);
  const [top] = found.sort((a, b) => b.ratio - a.ratio);
  if (top === undefined) return undefined;
  return `${what}: at most ${rounded(top.ratio)} (${top.at}; aim ≤ ${rounded(aim)})`;
}

function least(rows: readonly Row[], what: string, peer: string, aim: number): string | undefined {
  const closed = rows.filter((row) => String(row.load).startsWith("closed"));
  const [low] = compared(closed, peer, "answersPerSecond").sort((a, b) => a.ratio - b.ratio);
  if (low === undefined) return undefined;
  return `${what}: at least ${rounded(low.ratio)} (${low.at}; aim ≥ ${aim})`;
}

/** Ours over the peer's at the same shards, load and service time. */
function compared(rows: readonly Row[], peer: string, key: string): { ratio: number; at: string }[] {
  return rows
    .filter((row) => row.peer === "skynetes")
    .flatMap((ours) => {
      const theirs = rows.find((row) => row.peer === peer && sameCell(row, ours));
      if (theirs === undefined) return [];
      return [
        {
          ratio: Number(ours[key]) / Number(theirs[key]),
          at: `${ours.shards} shards, ${ours.load}, ${ours.serviceTime}`,
        },
      ];
    });
}

function sameCell(a: Row, b: Row): boolean {
  return a.shards === b.shards && a.load === b.load && a.serviceTime === b.serviceTime;
}
