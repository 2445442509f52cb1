import { collectOrphans } from "../../src/archive/collect-orphans.ts";
import { directFiles } from "../../src/archive/direct-files.ts";

// One look at an archive whose manifests are lists of names; to be killed at a crash point.
const [root, nowMs] = process.argv.slice(2);
await collectOrphans({
  files: directFiles(root!),
  nowMs: Number(nowMs),
  graceMs: 1_000,
  objectsOf: (text) => text.split(" "),
  isForgotten: () => false,
});
