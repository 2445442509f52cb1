import { directFiles } from "../../src/archive/direct-files.ts";
import { systemClock } from "../../src/process/clock.ts";
import { lineLog } from "../../src/process/log-line.ts";
import { ArchiveSeals } from "../../src/up/data/archive-seals.ts";

// Seals or unseals snapshot `s`, of one replica; to be killed at a crash point.
const [archive, deed, manifestSha256, stateDigest] = process.argv.slice(2) as [string, string, string, string];
const report = lineLog({ write: () => {}, format: "human", clock: systemClock });
const seals = new ArchiveSeals(directFiles(archive), { name: "m", shards: 1 }, report);
const cut = { positions: [], fixedAtMs: 1_000, inexactTopics: [] };
const replicas = [{ shard: 0, node: "n", stateDigest, manifestSha256 }];
if (deed === "seal") await seals.write({ kind: "seal", snapshot: "s", cut, replicas }, undefined);
else await seals.remove("s");
