import { readdirSync, readFileSync } from "node:fs";

/**
 * Nanoseconds of processor time (user and system) that all threads of a process have had. From `schedstat`, since
 * `/proc/PID/stat` counts in ticks of 10 ms, a tenth of what a short run takes; threads that have ended are not in it, and
 * the programs here keep theirs.
 */
export function cpuNs(pid: number): number {
  let sum = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    try {
      sum += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")[0]);
    } catch {
      // The thread has ended between the two reads.
    }
  }
  return sum;
}

/** CPU of several processes over a time: call it at the start, and what it returns at the end, for nanoseconds. */
export function cpuSince(pids: readonly number[]): () => number {
  const before = pids.map(cpuNs);
  return () => pids.reduce((sum, pid, i) => sum + cpuNs(pid) - (before[i] as number), 0);
}

/** A process and all below it: a gateway may have workers. */
export function processTree(pid: number): number[] {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
    childrenOf(`/proc/${pid}/task/${thread}/children`),
  );
  return [pid, ...children.flatMap(processTree)];
}

function childrenOf(file: string): number[] {
  return readFileSync(file, "utf8")
    .split(" ")
    .filter((text) => text !== "")
    .map(Number);
}
