import type { Command } from "commander";
import { Fault } from "../fault/fault.ts";
import { EXIT_CODE } from "../process/exit-code.ts";
import type { ArchiveFinding } from "../seal/verify-archive.ts";
import { addCollectCommand } from "./collect-command.ts";
import { absolute, dataDirOption, outputOption, parseCount } from "./options.ts";

interface VerifyOptions {
  readonly archive?: string;
  readonly dataDir: string;
  readonly shard?: number;
  readonly snapshot?: string;
  readonly output: "table" | "json";
}

/** A line of progress for so many objects. */
const PROGRESS_EVERY = 1_000;

export function addArchiveCommands(program: Command): void {
  const archive = program
    .command("archive")
    .summary("look after the archive")
    .description("What snapshots are kept in, apart from their nodes.");
  addCollectCommand(archive);
  archive
    .command("verify")
    .description(
      "Reads every seal, every manifest and every byte of every object, and tells what is missing, damaged or\n" +
        "named by nobody. Writes nothing, and needs no running mesh. Ends with 1 when something is missing or damaged.",
    )
    .option("--archive <directory>", "the archive; absent: that of the data directory")
    .addOption(dataDirOption())
    .option("--shard <number>", "this shard alone", parseCount)
    .option("--snapshot <id>", "this snapshot alone")
    .addOption(outputOption("table"))
    .addHelpText("after", "\nExample:\n  $ skynetes archive verify --archive /mnt/archive --output json")
    .action(verify);
}

async function verify({ archive, dataDir, shard, snapshot, output }: VerifyOptions): Promise<void> {
  const [{ ArchiveProcess }, { verifyArchive }, { systemClock }, { dataDirectory }] = await Promise.all([
    import("../archive/archive-process.ts"),
    import("../seal/verify-archive.ts"),
    import("../process/clock.ts"),
    import("../up/control/data-directory.ts"),
  ]);
  const root = absolute(archive ?? dataDirectory(dataDir).archive);
  const reader = new ArchiveProcess({ root, clock: systemClock });
  const findings: ArchiveFinding[] = [];
  try {
    if ((await reader.files.list("")).length === 0) {
      throw new Fault("invalid-request", `verify archive ${root}: nothing is there`);
    }
    const counts = await verifyArchive({
      files: reader.files,
      shard,
      snapshot,
      onFinding: (finding) => {
        if (output === "json") findings.push(finding);
        else process.stdout.write(`${finding.kind.padEnd(8)}  ${finding.path}: ${finding.detail}\n`);
      },
      onProgress: ({ objects, bytes }) => {
        if (objects % PROGRESS_EVERY === 0) process.stderr.write(`${objects} objects, ${bytes} bytes\n`);
      },
    });
    const { seals, manifests, objects, bytes, missing, damaged, orphaned } = counts;
    process.stdout.write(
      output === "json"
        ? `${JSON.stringify({ archive: root, ...counts, bytes: String(bytes), findings }, null, 2)}\n`
        : `${seals} seals, ${manifests} manifests, ${objects} objects of ${bytes} bytes: ` +
            `${missing} missing, ${damaged} damaged, ${orphaned} orphaned\n`,
    );
    if (missing + damaged > 0) process.exitCode = EXIT_CODE.failure;
  } finally {
    reader.close();
  }
}
