import { mkdir, open, readdir, rename, rm, rmdir, stat } from "node:fs/promises";

/** The calls that reach the file system, one to one: what a test makes fail, and nothing that could fail in between. */
export interface FileLayer {
  open(path: string, flags: "r" | "w" | "r+"): Promise<LayerFile>;
  size(path: string): Promise<bigint>;
  list(path: string): Promise<string[]>;
  makeDirectory(path: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  removeFile(path: string): Promise<void>;
  removeDirectory(path: string): Promise<void>;
}

export interface LayerFile {
  /** Bytes read; 0 at the end. */
  read(into: Uint8Array): Promise<number>;
  /** Bytes taken, which may be fewer than there are. */
  write(bytes: Uint8Array): Promise<number>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

export const diskLayer: FileLayer = {
  async open(path, flags) {
    const file = await open(path, flags);
    return {
      read: async (into) => (await file.read(into, 0, into.length)).bytesRead,
      write: async (bytes) => (await file.write(bytes)).bytesWritten,
      sync: () => file.sync(),
      close: () => file.close(),
    };
  },
  size: async (path) => (await stat(path, { bigint: true })).size,
  list: (path) => readdir(path),
  makeDirectory: async (path) => {
    await mkdir(path, { recursive: true });
  },
  rename,
  removeFile: (path) => rm(path),
  removeDirectory: (path) => rmdir(path),
};
