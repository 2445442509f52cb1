import { diskLayer, type FileLayer, type LayerFile } from "../../src/archive/file-layer.ts";

/** What goes wrong with one call; `lost` is done and then told to have failed, as over a network. */
export type FileFault = "ESTALE" | "EIO" | "EROFS" | "ENOSPC" | "short" | "lost" | "hang";

/** Called before each call of the layer, with its name and path. */
export type ChooseFault = (call: string, path: string) => FileFault | undefined;

/** The disk, whose calls fail as `choose` says. */
export function faultyLayer(choose: ChooseFault): FileLayer {
  const call = async <T>(name: string, path: string, work: () => Promise<T>): Promise<T> => {
    const fault = choose(name, path);
    if (fault === undefined) return work();
    if (fault === "hang") return new Promise(() => {});
    // A short write is told by its count, and nothing else can be short.
    if (fault === "short") return work();
    if (fault === "lost") {
      // Opening changes nothing, and what it opened would stay open.
      if (name !== "open") await work();
      // What a server answers to the repetition of what it has done.
      const code = name === "rename" || name.startsWith("remove") ? "ENOENT" : "EIO";
      throw Object.assign(new Error(`${code}: reply lost, ${name} '${path}'`), { code });
    }
    throw Object.assign(new Error(`${fault}: injected, ${name} '${path}'`), { code: fault });
  };
  return {
    open: (path, flags) => call("open", path, async () => faultyFile(await diskLayer.open(path, flags), path)),
    size: (path) => call("size", path, () => diskLayer.size(path)),
    list: (path) => call("list", path, () => diskLayer.list(path)),
    makeDirectory: (path) => call("makeDirectory", path, () => diskLayer.makeDirectory(path)),
    rename: (from, to) => call("rename", from, () => diskLayer.rename(from, to)),
    removeFile: (path) => call("removeFile", path, () => diskLayer.removeFile(path)),
    removeDirectory: (path) => call("removeDirectory", path, () => diskLayer.removeDirectory(path)),
  };

  function faultyFile(file: LayerFile, path: string): LayerFile {
    return {
      read: (into) => call("read", path, () => file.read(into)),
      write: async (bytes) => {
        if (choose("short-write", path) === "short") return file.write(bytes.subarray(0, Math.ceil(bytes.length / 2)));
        return call("write", path, () => file.write(bytes));
      },
      sync: () => call("sync", path, () => file.sync()),
      close: () => file.close(),
    };
  }
}
