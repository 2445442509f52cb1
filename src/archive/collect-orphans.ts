/**
 * Takes out of the archive what nobody names: objects of dropped snapshots, copies that were never finished, manifests
 * that were left of forgotten snapshots. In two phases: what is found is marked, durably and with the time; what was
 * marked for a whole grace and is still nobody's at a later look is deleted. By one collector at a time.
 *
 * A node may rely on an object at this moment: it saw it, did not copy it, and writes its manifest next. So objects are
 * first set aside and all manifests are read after that, while the node writes its manifest first and looks for its
 * objects after that (`archiveShard`): one of the two sees the other. An object that is set aside is found by readers.
 */
import { dirname } from "node:path";
import { Fault } from "../fault/fault.ts";
import { crashPoint } from "../process/crash-point.ts";
import { isTemporaryName } from "../process/durable-file.ts";
import type { ArchiveFiles } from "./archive-files.ts";
import { DOOMED, EPOCHS, MARKS, manifestName, OBJECTS, SEALS, SHARDS } from "./archive-layout.ts";

export interface CollectRequest {
  readonly files: ArchiveFiles;
  readonly nowMs: number;
  /** Longer than any upload. */
  readonly graceMs: number;
  /** Digests of the objects that a manifest names. Throws when it cannot be read. */
  readonly objectsOf: (manifest: string, path: string) => readonly string[];
  /** True: the snapshot is gone for good, and whatever is found of it is left over. */
  readonly isForgotten: (snapshot: string) => boolean;
  /** Only says what it would do. */
  readonly dryRun?: boolean;
}

export interface Collected {
  /** Nobody's now, waiting for the end of the grace. */
  readonly marked: readonly string[];
  readonly deleted: readonly string[];
}

/** Why nobody needs a file that was found, for people. */
export function orphanReason(path: string): string {
  if (isTemporaryName(path)) return "its writer died before it was finished";
  return path.startsWith(`${OBJECTS}/`) ? "no manifest names it" : "its snapshot is retired and has no seal";
}

/** Fault `data-corrupt` when a manifest cannot be read: it may name everything, so all stays. */
export async function collectOrphans(request: CollectRequest): Promise<Collected> {
  const { files, nowMs, graceMs, dryRun = false } = request;
  if (!dryRun) await putBack(files);
  const earlier = await readMarks(files);
  const orphans = await findOrphans(request);
  const marks = new Map(orphans.map((path) => [path, Math.min(earlier.get(path) ?? nowMs, nowMs)]));
  const due = orphans.filter((path) => nowMs - (marks.get(path) as number) >= graceMs);
  if (dryRun) return { marked: orphans.filter((path) => !due.includes(path)), deleted: due };

  await writeMarks(files, marks);
  crashPoint("orphans-marked");
  const deleted = await deleteDue(request, due);
  for (const path of deleted) marks.delete(path);
  if (deleted.length > 0) await writeMarks(files, marks);
  return { marked: [...marks.keys()], deleted };
}

async function deleteDue(request: CollectRequest, due: readonly string[]): Promise<string[]> {
  const { files } = request;
  const objects = due.filter((path) => path.startsWith(`${OBJECTS}/`) && !isTemporaryName(path));
  const deleted = due.filter((path) => !objects.includes(path));
  for (const path of deleted) await files.remove(path);
  const aside: string[] = [];
  try {
    for (const path of objects) if (await files.rename(path, path + DOOMED)) aside.push(path);
    crashPoint("orphans-aside");
    const named = aside.length === 0 ? new Set<string>() : await namedObjects(request);
    for (const path of aside) {
      if (named.has(path)) continue;
      await files.remove(path + DOOMED);
      deleted.push(path);
    }
  } finally {
    const kept = aside.filter((path) => !deleted.includes(path));
    for (const path of kept) await files.rename(path + DOOMED, path);
  }
  crashPoint("orphans-deleted");
  return deleted;
}

/** What a collector set aside that died before it knew: it stays. */
async function putBack(files: ArchiveFiles): Promise<void> {
  for (const name of await files.list(OBJECTS)) {
    if (name.endsWith(DOOMED)) await files.rename(`${OBJECTS}/${name}`, `${OBJECTS}/${name.slice(0, -DOOMED.length)}`);
  }
}

async function findOrphans(request: CollectRequest): Promise<string[]> {
  const { files, isForgotten } = request;
  // Listed before the manifests are read: what is put there meanwhile is not seen.
  const objects = (await files.list(OBJECTS)).map((name) => `${OBJECTS}/${name}`);
  const named = await namedObjects(request);
  const unnamed = objects.filter((path) => !named.has(path) && !path.endsWith(DOOMED));
  const others: string[] = [];
  for (const directory of [SEALS, dirname(MARKS)]) others.push(...(await temporaryFiles(files, directory)));
  for (const shard of await files.list(EPOCHS)) {
    for (const node of await files.list(`${EPOCHS}/${shard}`)) {
      others.push(...(await temporaryFiles(files, `${EPOCHS}/${shard}/${node}`)));
    }
  }
  for await (const { path, file, snapshot } of shardFiles(files)) {
    if (isTemporaryName(file) || (manifestName(file) !== undefined && isForgotten(snapshot))) others.push(path);
  }
  return [...unnamed, ...others].sort();
}

/** Of what is written whole or not at all, a writer that died leaves these. */
async function temporaryFiles(files: ArchiveFiles, directory: string): Promise<string[]> {
  return (await files.list(directory)).filter(isTemporaryName).map((file) => `${directory}/${file}`);
}

/** Manifests of forgotten snapshots name their objects as long as they are there. */
async function namedObjects({ files, objectsOf }: CollectRequest): Promise<Set<string>> {
  const named = new Set<string>();
  for await (const { path, file } of shardFiles(files)) {
    if (manifestName(file) === undefined) continue;
    const text = await files.readText(path);
    for (const sha256 of text === undefined ? [] : objectsOf(text, path)) named.add(`${OBJECTS}/${sha256}`);
  }
  return named;
}

async function* shardFiles(files: ArchiveFiles) {
  for (const shard of await files.list(SHARDS)) {
    for (const snapshot of await files.list(`${SHARDS}/${shard}`)) {
      const directory = `${SHARDS}/${shard}/${snapshot}`;
      for (const file of await files.list(directory)) yield { path: `${directory}/${file}`, file, snapshot };
    }
  }
}

async function readMarks(files: ArchiveFiles): Promise<Map<string, number>> {
  const text = await files.readText(MARKS);
  try {
    const marks = text === undefined ? {} : (JSON.parse(text) as Record<string, unknown>);
    return new Map(Object.entries(marks).flatMap(([path, at]) => (typeof at === "number" ? [[path, at]] : [])));
  } catch (error) {
    throw new Fault("data-corrupt", `read ${MARKS}: ${(error as Error).message}; remove it to begin anew`, {}, error);
  }
}

function writeMarks(files: ArchiveFiles, marks: ReadonlyMap<string, number>): Promise<void> {
  return files.writeText(MARKS, `${JSON.stringify(Object.fromEntries(marks), null, 2)}\n`);
}
