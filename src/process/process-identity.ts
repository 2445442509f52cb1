import { readFileSync } from "node:fs";

/**
 * A process by its pid and by when it began: pids come round again (in a container it is often the same one), so a pid
 * alone would take a stranger for the one that held a lock.
 */
export interface ProcessIdentity {
  readonly pid: number;
  /** Boot id and start tick, where the system tells. */
  readonly began: string | null;
}

export function processIdentity(pid: number): ProcessIdentity {
  return { pid, began: processBegan(pid) };
}

/** That very process still runs; where the system does not tell when it began, one of its pid does. */
export function isRunning({ pid, began }: ProcessIdentity): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it runs, as somebody else.
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
  }
  const now = processBegan(pid);
  return now === null || began === null || now === began;
}

function processBegan(pid: number): string | null {
  try {
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The second field is the command in parentheses and may hold spaces; the start tick is the 20th after it.
    return `${boot}:${stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]}`;
  } catch {
    return null;
  }
}
