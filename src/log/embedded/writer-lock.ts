import { link, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "../../fault/fault.ts";
import type { Randomness } from "../../process/clock.ts";
import { isRunning, type ProcessIdentity, processIdentity } from "../../process/process-identity.ts";
import { LOCK_DIRECTORY } from "./log-paths.ts";

/**
 * One writer process at a time: two would give one offset to two records.
 *
 * Each holder has a file with the next number, `.writer/7.lock`, and the highest number holds the lock. Files appear with
 * their content by `link`, which fails when the name exists, so of many who find number 7 dead one alone becomes number
 * 8. A holder that goes leaves its file, marked as released, so that numbers never come twice; the next one clears what
 * is below its own. Whoever was so slow that its number is no longer the highest steps back. And the holder looks again
 * at every flush (`stillHeld`).
 */
export interface WriterLock {
  /** Fault `fenced` when the lock is no longer ours. */
  stillHeld(): Promise<void>;
  release(): Promise<void>;
}

interface Holder extends ProcessIdentity {
  readonly released: boolean;
}

const ATTEMPTS_MAX = 10;

/** Fault `store-locked` naming the holder's pid. */
export async function takeWriterLock(directory: string, randomness: Randomness): Promise<WriterLock> {
  const locks = join(directory, LOCK_DIRECTORY);
  await mkdir(locks, { recursive: true });
  const mine: Holder = { ...processIdentity(process.pid), released: false };
  const draft = join(locks, `draft-${randomness.id()}`);
  await writeHolder(draft, mine);
  try {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const highest = await highestNumber(locks);
      const holder = highest === undefined ? undefined : await readHolder(lockPath(locks, highest));
      if (holder !== undefined && !holder.released && isRunning(holder))
        throw lockedBy(lockPath(locks, highest!), holder);
      const number = (highest ?? 0) + 1;
      if (!(await linked(draft, lockPath(locks, number)))) continue;
      if ((await highestNumber(locks)) === number) return await heldLock(locks, number, { mine, draft });
      await rm(lockPath(locks, number), { force: true });
    }
  } finally {
    await rm(draft, { force: true });
  }
  throw new Fault("store-locked", `open log: the lock in ${locks} changes hands too fast`);
}

async function heldLock(
  locks: string,
  number: number,
  { mine, draft }: { readonly mine: Holder; readonly draft: string },
): Promise<WriterLock> {
  for (const lower of await numbers(locks)) {
    if (lower < number) await rm(lockPath(locks, lower), { force: true });
  }
  return {
    async stillHeld() {
      if ((await highestNumber(locks)) === number) return;
      throw new Fault("fenced", `write log: process ${mine.pid} no longer holds ${lockPath(locks, number)}`);
    },
    async release() {
      if ((await highestNumber(locks)) !== number) return;
      await writeHolder(draft, { ...mine, released: true });
      await rename(draft, lockPath(locks, number));
    },
  };
}

async function highestNumber(locks: string): Promise<number | undefined> {
  return (await numbers(locks)).reduce<number | undefined>((a, b) => (a === undefined || b > a ? b : a), undefined);
}

async function numbers(locks: string): Promise<number[]> {
  return (await readdir(locks)).flatMap((name) => {
    const match = /^(\d{1,15})\.lock$/.exec(name);
    return match === null ? [] : [Number(match[1])];
  });
}

function lockPath(locks: string, number: number): string {
  return join(locks, `${number}.lock`);
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

async function writeHolder(path: string, holder: Holder): Promise<void> {
  await writeFile(path, `${JSON.stringify(holder)}\n`, { flag: "wx" });
}

/** `undefined` when it was cleared away meanwhile. */
async function readHolder(path: string): Promise<Holder | undefined> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(await readFile(path, "utf8"));
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw new Fault("store-locked", `open log: ${path} is not a lock that can be read`, {}, error);
  }
  const { pid, began, released } = (parsed ?? {}) as Partial<Record<keyof Holder, unknown>>;
  if (typeof pid !== "number" || !Number.isInteger(pid) || pid < 1) {
    throw new Fault("store-locked", `open log: ${path} does not name its holder`);
  }
  return { pid, began: typeof began === "string" ? began : null, released: released === true };
}

function lockedBy(path: string, holder: Holder): Fault {
  return new Fault("store-locked", `open log: process ${holder.pid} is writing it (${path})`);
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}
