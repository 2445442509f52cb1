import { randomUUID } from "node:crypto";
import { mkdir, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";

/**
 * Files of data that survive a power cut whole or not at all: written under another name, synced, renamed, and the
 * directory synced so that the name is durable too. Several writers may make the same file; the last one wins whole.
 * (`durable-file.ts` is for a process's own small records and does not wait for others.)
 */
export async function writeDurableFile(path: string, content: string | Uint8Array, synced = () => {}): Promise<void> {
  const temporary = temporaryName(path);
  try {
    const file = await open(temporary, "wx");
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    synced();
    await renameDurably(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
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

/** Creates a directory and its parents, each durable when this returns. */
export async function makeDurableDirectory(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true });
  if (first === undefined) return;
  for (let made = path; made.length >= first.length; made = dirname(made)) await syncDirectory(dirname(made));
}

const TEMPORARY = ".tmp";

/** A name in the same directory (a rename must not cross file systems) that no other writer uses. */
export function temporaryName(path: string): string {
  return `${path}.${randomUUID()}${TEMPORARY}`;
}

/** What a writer that died may have left. */
export function isTemporaryName(name: string): boolean {
  return name.endsWith(TEMPORARY);
}
