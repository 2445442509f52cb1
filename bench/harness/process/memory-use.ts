import { readFileSync } from "node:fs";

/** In KiB. A page that n processes share counts 1/n in the proportional set of each, and whole in the resident set. */
export interface MemoryUse {
  readonly pss: number;
  readonly rss: number;
}

/** Nothing where the process has ended. */
export function memoryOf(pid: number): MemoryUse {
  try {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
    const value = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(text)?.[1] ?? 0);
    return { pss: value("Pss"), rss: value("Rss") };
  } catch {
    return { pss: 0, rss: 0 };
  }
}
