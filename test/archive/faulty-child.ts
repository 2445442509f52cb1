import { existsSync } from "node:fs";
import { join } from "node:path";
import { serveFiles } from "../../src/archive/serve-files.ts";
import { faultyLayer } from "./faulty-layer.ts";

// An archive process in which everything on a path with "hang" in it hangs while the file `hanging` is beside the archive.
const hanging = join(process.argv[2] ?? "", "..", "hanging");
serveFiles(faultyLayer((_call, path) => (path.includes("hang") && existsSync(hanging) ? "hang" : undefined)));
