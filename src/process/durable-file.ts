import { randomUUID } from "node:crypto";
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { mkdir, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";

const TEMPORARY = ".tmp";

/**
 * Files that survive a power cut whole or not at all: written under another name, synced, renamed, and the directory
 * synced so that the name is durable too. Several writers may make the same file; the last one wins whole.
 */
export async function writeDurableFile(path: string, content: string | Uint8Array, synced = () => {}): Promise<void> {
  const temporary = temporaryName(path);
  try {
    await writeNewFile(temporary, content);
    synced();
    await renameDurably(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/**
 * The same for a process's own small records, which have one writer. Synchronous on purpose: nothing else of the process
 * runs between the decision and its record. Makes the directory where it is missing. When it throws, what was there is
 * there still.
 */
export function writeDurableFileSync(path: string, text: string): void {
  const directory = dirname(path);
  makeDurableDirectorySync(directory);
  const temporary = `${path}${TEMPORARY}`;
  try {
    writeAllSync(temporary, text);
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  syncDirectorySync(directory);
}

/** One `write` may take a part only, as on a disk that is nearly full; `writeFileSync` goes on until all is written. */
function writeAllSync(path: string, text: string): void {
  const file = openSync(path, "w");
  try {
    writeFileSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** The file's text, or `undefined` when there is no such file. */
export function readTextIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Writes a new file whole and syncs it, but not its name; fails when it exists. */
export async function writeNewFile(path: string, content: string | Uint8Array): Promise<void> {
  const file = await open(path, "wx");
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Moves a file whose content is synced already into its place, replacing what is there. */
export async function renameDurably(from: string, to: string): Promise<void> {
  await rename(from, to);
  await syncDirectory(dirname(to));
}

export async function syncFile(path: string): Promise<void> {
  const file = await open(path, "r+");
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

function syncDirectorySync(path: string): void {
  const directory = openSync(path, "r");
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

/** As `makeDurableDirectory`. */
export function makeDurableDirectorySync(path: string): void {
  const first = mkdirSync(path, { recursive: true });
  if (first === undefined) return;
  for (let made = path; made.length >= first.length; made = dirname(made)) syncDirectorySync(dirname(made));
}

/** Creates a directory and its parents, each durable when this returns. */
export async function makeDurableDirectory(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true });
  if (first === undefined) return;
  for (let made = path; made.length >= first.length; made = dirname(made)) await syncDirectory(dirname(made));
}

/** A name in the same directory (a rename must not cross file systems) that no other writer uses. */
export function temporaryName(path: string): string {
  return `${path}.${randomUUID()}${TEMPORARY}`;
}

/** What a writer that died may have left. */
export function isTemporaryName(name: string): boolean {
  return name.endsWith(TEMPORARY);
}
