import type { Clock } from "../process/clock.ts";

/** Progress of a load on stderr: a bar that draws over itself on a terminal, now and then a plain line elsewhere. */
export interface ProgressLine {
  show(progress: { readonly rows: number; readonly totalRows?: number; readonly bytes: number }): void;
  done(): void;
}

export interface ProgressOptions {
  readonly name: string;
  readonly clock: Clock;
  readonly isTerminal: boolean;
  readonly write: (text: string) => void;
}

const BAR_CELLS = 30;
const TERMINAL_EVERY_MS = 100;
const PLAIN_EVERY_MS = 5_000;

export function progressLine({ name, clock, isTerminal, write }: ProgressOptions): ProgressLine {
  const startedAt = clock.monotonic();
  const everyMs = isTerminal ? TERMINAL_EVERY_MS : PLAIN_EVERY_MS;
  let shownAt = startedAt;
  let rows = 0;
  let drawn = false;
  return {
    show(progress) {
      rows = progress.rows;
      const now = clock.monotonic();
      if (now - shownAt < everyMs) return;
      shownAt = now;
      const text = progressText(name, progress, now - startedAt);
      write(isTerminal ? `\r\x1b[K${text}` : `${text}\n`);
      drawn = isTerminal;
    },
    done() {
      const seconds = ((clock.monotonic() - startedAt) / 1000).toFixed(1);
      write(`${drawn ? "\r\x1b[K" : ""}${name}: ${count(rows)} records loaded in ${seconds} s\n`);
    },
  };
}

function progressText(
  name: string,
  { rows, totalRows, bytes }: { rows: number; totalRows?: number; bytes: number },
  elapsedMs: number,
): string {
  const rate = elapsedMs > 0 ? `, ${(bytes / 1e3 / elapsedMs).toFixed(0)} MB/s` : "";
  if (totalRows === undefined || totalRows === 0) return `${name}: ${count(rows)} records${rate}`;
  const share = Math.min(1, rows / totalRows);
  const full = Math.round(share * BAR_CELLS);
  const bar = `${"█".repeat(full)}${"░".repeat(BAR_CELLS - full)}`;
  return `${name}: ${bar} ${Math.floor(share * 100)} %, ${count(rows)} of ${count(totalRows)} records${rate}`;
}

function count(n: number): string {
  return String(n).replace(/\B(?=(\d{3})+$)/g, ",");
}
