import type { Command } from "commander";
import { Fault } from "../fault/fault.ts";
import { absolute, dataDirOption, outputOption } from "./options.ts";

interface CollectOptions {
  readonly dataDir: string;
  readonly dryRun?: boolean;
  readonly output: "table" | "json";
}

export function addCollectCommand(archive: Command): void {
  archive
    .command("collect")
    .description(
      "Marks what nobody names in the archive, and deletes what was nobody's an hour ago and still is. A running mesh\n" +
        "does this by itself: then only --dry-run is possible, which writes nothing.",
    )
    .addOption(dataDirOption())
    .option("--dry-run", "only tell what would be marked and deleted now")
    .addOption(outputOption("table"))
    .addHelpText("after", "\nExample:\n  $ skynetes archive collect --dry-run --output json")
    .action(collect);
}

/** Faults: `invalid-request` when no mesh was ever there, `store-locked` while one runs, those of the collector. */
async function collect({ dataDir, dryRun = false, output }: CollectOptions): Promise<void> {
  const [
    { ArchiveProcess },
    { orphanReason },
    { systemClock },
    { readTextIfThere },
    { lockForProcess },
    { controlStateFromText },
    { dataDirectory },
    { collectOnce },
  ] = await Promise.all([
    import("../archive/archive-process.ts"),
    import("../archive/collect-orphans.ts"),
    import("../process/clock.ts"),
    import("../process/durable-file.ts"),
    import("../process/process-lock.ts"),
    import("../up/control/control-state.ts"),
    import("../up/control/data-directory.ts"),
    import("../up/data/archive-keeper.ts"),
  ]);
  const directory = dataDirectory(absolute(dataDir));
  if (readTextIfThere(directory.stateFile) === undefined) {
    throw new Fault("invalid-request", `collect in ${directory.archive}: no mesh has its data in ${dataDir}`);
  }
  // Two collectors would put back what the other has set aside.
  const lock = dryRun ? undefined : lockForProcess(directory.lockFile, `data directory ${directory.root}`);
  const archive = new ArchiveProcess({ root: directory.archive, clock: systemClock });
  try {
    // Read under the lock: what is retired or created later is not judged by older wishes.
    const state = controlStateFromText(readTextIfThere(directory.stateFile) ?? "", directory.stateFile);
    const { marked, deleted } = await collectOnce({ files: archive.files, state, nowMs: systemClock.now(), dryRun });
    const told = (paths: readonly string[]) => paths.map((path) => ({ path, reason: orphanReason(path) }));
    if (output === "json") {
      const found = { archive: directory.archive, dryRun, marked: told(marked), deleted: told(deleted) };
      process.stdout.write(`${JSON.stringify(found, null, 2)}\n`);
      return;
    }
    const lines = (deed: string, paths: readonly string[]) =>
      told(paths).map(({ path, reason }) => `${deed}  ${path}: ${reason}\n`);
    const [marks, deletes] = dryRun ? ["to mark  ", "to delete"] : ["marked ", "deleted"];
    const text = [...lines(marks, marked), ...lines(deletes, deleted)].join("");
    process.stdout.write(`${text}${marked.length} ${marks.trim()}, ${deleted.length} ${deletes.trim()}\n`);
  } finally {
    archive.close();
    lock?.release();
  }
}
