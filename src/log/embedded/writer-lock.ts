import { link, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "../../fault/fault.ts";
import type { Randomness } from "../../process/clock.ts";
import { LOCK_FILE } from "./log-paths.ts";

/**
 * One writer process at a time: two would give one offset to two records. The lock is a file that names its holder by
 * pid and by when that process began, so a pid that was given away again (in a container it is often the same one) is
 * not taken for the old holder. The file appears with its content by `link`, which fails when it exists.
 *
 * A dead holder's lock is moved aside, not deleted, since between look and deed another process may have taken over:
 * who finds that it moved a living lock puts it back. And the holder looks again at every flush (`stillHeld`).
 */
export interface WriterLock {
  /** Fault `fenced` when the lock is no longer ours. */
  stillHeld(): Promise<void>;
  release(): Promise<void>;
}

interface Holder {
  readonly pid: number;
  /** Boot id and start tick, where the system tells. */
  readonly began: string | null;
  readonly token: string;
}

const ATTEMPTS_MAX = 5;

/** Fault `store-locked` naming the holder's pid. */
export async function takeWriterLock(directory: string, randomness: Randomness): Promise<WriterLock> {
  await mkdir(directory, { recursive: true });
  const path = join(directory, LOCK_FILE);
  const mine: Holder = { pid: process.pid, began: await processBegan(process.pid), token: randomness.id() };
  const draft = `${path}.${mine.token}`;
  await writeFile(draft, `${JSON.stringify(mine)}\n`, { flag: "wx" });
  try {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      if (await linked(draft, path)) return heldLock(path, mine);
      const holder = await readHolder(path);
      if (holder === undefined) continue;
      if (holder === "unreadable") throw new Fault("store-locked", `open log: ${path} is not a lock that can be read`);
      if (await isAlive(holder)) throw lockedBy(path, holder);
      await moveAside(path, `${draft}.stale`, holder);
    }
  } finally {
    await rm(draft, { force: true });
  }
  throw new Fault("store-locked", `open log: ${path} changes hands too fast`);
}

function heldLock(path: string, mine: Holder): WriterLock {
  const holdsOwn = async () => {
    const holder = await readHolder(path);
    return typeof holder === "object" && holder.token === mine.token;
  };
  return {
    async stillHeld() {
      if (await holdsOwn()) return;
      throw new Fault("fenced", `write log: ${path} is no longer held by process ${mine.pid}`);
    },
    async release() {
      if (await holdsOwn()) await rm(path, { force: true });
    },
  };
}

async function moveAside(path: string, aside: string, stale: Holder): Promise<void> {
  try {
    await rename(path, aside);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return;
    throw error;
  }
  const moved = await readHolder(aside);
  if (typeof moved === "object" && moved.token !== stale.token) await linked(aside, path);
  await rm(aside, { force: true });
}

async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false;
    throw error;
  }
}

async function readHolder(path: string): Promise<Holder | "unreadable" | undefined> {
  try {
    const parsed: unknown = JSON.parse(await readFile(path, "utf8"));
    const { pid, began, token } = (parsed ?? {}) as Partial<Record<keyof Holder, unknown>>;
    if (typeof pid !== "number" || !Number.isInteger(pid) || pid < 1 || typeof token !== "string") return "unreadable";
    return { pid, began: typeof began === "string" ? began : null, token };
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    if (error instanceof SyntaxError) return "unreadable";
    throw error;
  }
}

async function isAlive(holder: Holder): Promise<boolean> {
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    if (codeOf(error) === "ESRCH") return false;
  }
  const began = await processBegan(holder.pid);
  return began === null || holder.began === null || began === holder.began;
}

/** Linux says when a process began; elsewhere `null`, and a pid alone must do. */
async function processBegan(pid: number): Promise<string | null> {
  try {
    const boot = (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
    const stat = await readFile(`/proc/${pid}/stat`, "utf8");
    // The second field is the command in parentheses and may hold spaces; the start tick is the 20th after it.
    return `${boot}:${stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]}`;
  } catch {
    return null;
  }
}

function lockedBy(path: string, holder: Holder): Fault {
  return new Fault("store-locked", `open log: process ${holder.pid} is writing it (${path})`);
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}
