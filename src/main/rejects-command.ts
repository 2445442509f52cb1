import { readFile } from "node:fs/promises";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { Command } from "commander";
import type { RecordPlace, Reject } from "../wire/generated/skynetes/v1/reject_pb.ts";
import type { ControlAddress, ControlClient } from "./control-client.ts";
import { absolute, dataDirOption, logManifestOption, outputOption } from "./options.ts";

interface ListOptions extends ControlAddress {
  readonly topic?: string;
  readonly output: "table" | "json";
}

interface ReplayOptions {
  readonly manifest?: string;
  readonly dataDir: string;
}

const PAGE = 500;

export function addRejectsCommands(program: Command): void {
  const rejects = program
    .command("rejects")
    .summary("look at records that could not become rows, and replay them")
    .description("Records that no row could be made of stay in the log and are kept with their reason.");

  rejects
    .command("list")
    .description("the rejects of all shards, each once")
    .addOption(dataDirOption())
    .option("--control <host:port>", "control address of the mesh")
    .option("--topic <name>", "of this topic only")
    .addOption(outputOption("table"))
    .addHelpText(
      "after",
      "\nWith --output json each is a line that `skynetes rejects replay` takes, with key and value to mend.\n" +
        "\nExample:\n  $ skynetes rejects list --topic flights --output json > rejects.jsonl",
    )
    .action(list);

  rejects
    .command("replay")
    .description("append rejects, mended or as they were, to their partitions again")
    .argument("<file>", "lines of `skynetes rejects list --output json`")
    .addOption(dataDirOption())
    .addOption(logManifestOption())
    .addHelpText(
      "after",
      "\nEach record says in a header which one it stands in for, and is appended once however often this is run.\n" +
        "\nExamples:\n  $ skynetes rejects replay rejects.jsonl\n" +
        "  $ skynetes rejects replay rejects.jsonl --manifest examples/flights/mesh-kafka.yaml",
    )
    .action(replay);
}

async function list(options: ListOptions): Promise<void> {
  const [{ withControl }, { rejectLine }, { tableText }] = await Promise.all([
    import("./control-client.ts"),
    import("../produce/reject-line.ts"),
    import("./print-table.ts"),
  ]);
  await withControl(options, async (client) => {
    const rows: string[][] = [];
    for await (const reject of allRejects(client)) {
      const { topic, partition, offset } = reject.place!;
      if (options.topic !== undefined && options.topic !== topic) continue;
      if (options.output === "table") rows.push([`${topic}/${partition}`, String(offset), reject.reason]);
      else process.stdout.write(`${rejectLine(recordOf(reject), reject.reason)}\n`);
    }
    if (options.output === "table") process.stdout.write(tableText(["PARTITION", "OFFSET", "REASON"], rows));
  });
}

/** Of all shards; those of broadcast topics, which every shard has, once. */
async function* allRejects(client: ControlClient): AsyncGenerator<Reject> {
  const { CONTROL_TIMEOUT_MS } = await import("./control-client.ts");
  const seen = new Set<string>();
  for (let shard = 0, shards = 1; shard < shards; shard++) {
    const own = new Set<string>();
    let after: RecordPlace | undefined;
    for (;;) {
      const request = { shard, limit: PAGE, ...(after === undefined ? {} : { after }) };
      const page = await client.listRejects(request, { timeoutMs: CONTROL_TIMEOUT_MS });
      shards = page.shards;
      for (const reject of page.rejects) {
        const { topic, partition } = reject.place!;
        own.add(`${topic}/${partition}`);
        if (!seen.has(`${topic}/${partition}`)) yield reject;
      }
      after = page.rejects.at(-1)?.place;
      if (after === undefined) break;
    }
    for (const partition of own) seen.add(partition);
  }
}

function recordOf({ place, timestamp, key, value }: Reject) {
  const { topic, partition, offset } = place!;
  return { topic, partition, offset, timestampMs: timestampMs(timestamp!), key: key ?? null, value: value ?? null };
}

async function replay(file: string, options: ReplayOptions): Promise<void> {
  const [{ openLogOf }, { parseRejectLine }, { replayRejects }] = await Promise.all([
    import("./log-of-mesh.ts"),
    import("../produce/reject-line.ts"),
    import("../produce/replay-rejects.ts"),
  ]);
  const text = await readFile(absolute(file), "utf8");
  const records = text
    .split("\n")
    .flatMap((line, i) => (line.trim() === "" ? [] : [parseRejectLine(line, file, i + 1)]));
  const { log, writer, close } = await openLogOf(options);
  try {
    const { appended, passed } = await replayRejects({ log, writer, signal: new AbortController().signal }, records);
    process.stdout.write(`${appended} appended, ${passed} replayed before\n`);
  } finally {
    await close();
  }
}
