/**
 * One process at a time in a directory, told apart from the lock file that a killed process left behind.
 *
 * The file holds the owner's identity. It is made by `link`, which fails when it is there, so it is never seen half-written. A stale one is moved
 * aside before the next try; should another starter have been faster, what was moved is not what was read, and goes
 * back.
 */
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { Fault } from "../fault/fault.ts";
import { readTextIfThere } from "./durable-file.ts";
import { isRunning, processIdentity } from "./process-identity.ts";

export interface ProcessLock {
  release(): void;
}

const TRIES = 5;

/** Fault `store-locked`, naming the holder's pid. */
export function lockForProcess(path: string, what: string): ProcessLock {
  mkdirSync(dirname(path), { recursive: true });
  const mine = JSON.stringify(processIdentity(process.pid));
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, mine);
  try {
    for (let tried = 0; tried < TRIES; tried++) {
      if (linked(temporary, path)) return { release: () => releaseIfMine(path, mine) };
      const text = readTextIfThere(path);
      if (text === undefined) continue;
      const holder = livingHolder(text);
      if (holder !== undefined) {
        throw new Fault("store-locked", `open ${what}: process ${holder} has it open; stop it first`);
      }
      moveAside(path, text);
    }
    throw new Fault("store-locked", `open ${what}: other processes are opening it at the same time`);
  } finally {
    rmSync(temporary, { force: true });
  }
}

function linked(temporary: string, path: string): boolean {
  try {
    linkSync(temporary, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

function moveAside(path: string, stale: string): void {
  const aside = `${path}.stale-${process.pid}`;
  try {
    renameSync(path, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw error;
  }
  if (readFileSync(aside, "utf8") !== stale) linked(aside, path);
  unlinkSync(aside);
}

function releaseIfMine(path: string, mine: string): void {
  if (readTextIfThere(path) === mine) rmSync(path, { force: true });
}

/** The pid in a lock file when that very process still runs. */
function livingHolder(text: string): number | undefined {
  let held: { pid?: unknown; began?: unknown };
  try {
    held = JSON.parse(text) as typeof held;
  } catch {
    return undefined;
  }
  const { pid, began } = held;
  if (typeof pid !== "number") return undefined;
  return isRunning({ pid, began: typeof began === "string" ? began : null }) ? pid : undefined;
}
