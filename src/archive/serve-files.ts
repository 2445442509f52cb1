/** The other end of `archive-process.ts`: carries out operations on the archive, and may hang with it. */
import { faultFromUnknown } from "../fault/fault-from-unknown.ts";
import { systemClock } from "../process/clock.ts";
import { directFiles } from "./direct-files.ts";
import { diskLayer, type FileLayer } from "./file-layer.ts";
import type { FileAnswer, FileQuestion } from "./file-words.ts";

/** Signs of life are for deadlines of seconds. */
const PROGRESS_EVERY_MS = 250;

/** Until the parent is gone. `argv[2]` is the archive directory. */
export function serveFiles(layer: FileLayer = diskLayer): void {
  const root = process.argv[2] ?? "";
  process.on("message", (question: FileQuestion) => void answer(root, layer, question));
  // An orderly exit waits for threads that hang in the file system; this does not.
  process.on("disconnect", () => process.kill(process.pid, "SIGKILL"));
  // Ctrl-C reaches every process of the terminal; this one ends with its parent.
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => {});
}

async function answer(root: string, layer: FileLayer, { id, operation, args }: FileQuestion): Promise<void> {
  let toldAt = systemClock.monotonic();
  const files = directFiles(root, layer, () => {
    const now = systemClock.monotonic();
    if (now - toldAt < PROGRESS_EVERY_MS) return;
    toldAt = now;
    send({ kind: "progress", id });
  });
  try {
    const work = files[operation] as (...args: readonly unknown[]) => Promise<unknown>;
    send({ kind: "value", id, value: await work(...args) });
  } catch (error) {
    const fault = faultFromUnknown(error, operation);
    send({ kind: "fault", id, fault: fault.id, message: fault.message });
  }
}

/** A parent that has gone is told by `disconnect`. */
function send(message: FileAnswer): void {
  process.send?.(message, undefined, undefined, () => {});
}
