/** What there is of one file. */
export interface FileFacts {
  readonly bytes: bigint;
  readonly sha256: string;
}

export interface NamedBytes {
  readonly path: string;
  readonly bytes: bigint;
}

/**
 * The files of an archive directory, which may be on a network: every operation is safe to repeat and ends by its
 * deadline. Paths are relative to the archive, except those called local.
 *
 * Faults of all: `archive-unavailable`, naming the operation, the path and the cause; `data-corrupt` where it is said.
 */
export interface ArchiveFiles {
  /** `undefined` when there is no such file. */
  readText(path: string): Promise<string | undefined>;
  /** Replaces the file whole, durably, and reads it back. */
  writeText(path: string, text: string): Promise<void>;
  /** Makes the directory where it is missing. Data-corrupt: the local file is missing, or its content is not `sha256`. */
  copyIn(local: string, path: string, sha256: string): Promise<void>;
  /** Data-corrupt: the file is missing under all of its names, or its content is not `sha256`. Durable when it returns. */
  copyOut(paths: readonly string[], local: string, sha256: string): Promise<void>;
  /** Those of the files that are missing or have another size. */
  missing(files: readonly NamedBytes[]): Promise<string[]>;
  /** Names in a directory, unordered; none when it is not there. */
  list(directory: string): Promise<string[]>;
  /** Reads every byte. `undefined` when there is no such file. */
  digest(path: string): Promise<FileFacts | undefined>;
  /** What is not there is removed already; a directory is removed when it is empty. */
  remove(path: string): Promise<void>;
  /** Replaces what is there; false when there is nothing to rename. */
  rename(from: string, to: string): Promise<boolean>;
}

export type ArchiveOperation = keyof ArchiveFiles;
