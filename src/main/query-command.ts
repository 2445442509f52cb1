import { type Command, InvalidArgumentError, Option } from "commander";
import { EXIT_CODE } from "../process/exit-code.ts";
import { dataDirOption, outputOption, parseDuration } from "./options.ts";
import { type CallText, gatewayUrl, jsonCall, parseCall } from "./query-target.ts";

interface QueryOptions {
  readonly dataDir: string;
  readonly gateway?: string;
  readonly completeness?: "strict" | "partial";
  readonly min?: number;
  readonly timeout?: number;
  readonly output: "table" | "json";
}

export const gatewayOption = () =>
  new Option("--gateway <url>", "base URL of a gateway; absent: the mesh of the data directory").env(
    "SKYNETES_GATEWAY",
  );

export function addQueryCommand(program: Command): void {
  program
    .command("query")
    .summary("ask a question at a snapshot")
    .description(
      "Asks all shards at a snapshot and prints the global answer.\n" +
        `Ends with ${EXIT_CODE.incompleteAnswer} when some shards did not answer, also where a partial answer was accepted.`,
    )
    .argument("<snapshot>", "a snapshot's id, or 'latest'")
    .argument("<call>", "package.Service[@version]/Method", parseCall)
    .argument("[request]", "the request as protobuf JSON; '-': from stdin", "{}")
    .addOption(
      new Option("--completeness <policy>", "what to do when shards are missing").choices(["strict", "partial"]),
    )
    .option("--min <share>", "least share of rows a partial answer must cover, 0 to 1", parseShare)
    .option("--timeout <duration>", "for the whole query, such as 500ms or 2s", parseDuration)
    .addOption(gatewayOption())
    .addOption(dataDirOption())
    .addOption(outputOption("json"))
    .addHelpText(
      "after",
      "\nExamples:\n" +
        '  $ skynetes query h1-2001 flights.v1.DelayService/Summarize \'{"origin":"LAX"}\'\n' +
        "  $ skynetes query latest flights.v1.DelayService/TopDestinations '{\"limit\":5}' --output table\n" +
        "  $ skynetes query h1-2001 flights.v1.DelayService/Search '{\"limit\":3}' --completeness partial --min 0.5 --timeout 2s",
    )
    .action(query);
}

async function query(snapshot: string, call: CallText, request: string, options: QueryOptions): Promise<void> {
  const [{ createClient }, { answerText }] = await Promise.all([
    import("../client/client.ts"),
    import("./answer-text.ts"),
  ]);
  const client = createClient({ baseUrl: gatewayUrl(options) });
  const stop = new AbortController();
  process.once("SIGINT", () => stop.abort(new DOMException("SIGINT", "AbortError")));
  try {
    const lines = client.callJson(jsonCall(snapshot, call, request), {
      signal: stop.signal,
      ...(call.version === undefined ? {} : { version: call.version }),
      ...(options.timeout === undefined ? {} : { timeoutMs: options.timeout }),
      ...completenessOf(options),
    });
    const messages: unknown[] = [];
    for await (const line of lines) {
      if (line.kind === "end") tellMissing(line.completeness);
      else if (options.output === "table") messages.push(line.json);
      else await write(`${line.text.trimEnd()}\n`);
    }
    if (options.output === "table") await write(answerText(messages));
  } finally {
    await client.close();
  }
}

function completenessOf({ completeness, min }: QueryOptions) {
  if (completeness === "strict") return { completeness: { kind: "strict" as const } };
  if (completeness === undefined && min === undefined) return {};
  return { completeness: { kind: "partial" as const, ...(min === undefined ? {} : { min }) } };
}

function tellMissing(completeness: unknown): void {
  const told = completeness as { complete?: boolean; shards?: { expected: number; answered: number } } | null;
  if (told?.complete !== false) return;
  process.stderr.write(`incomplete: ${told.shards?.answered ?? 0} of ${told.shards?.expected ?? 0} shards answered\n`);
  process.exitCode = EXIT_CODE.incompleteAnswer;
}

/** At the reader's pace: a pipe that is full holds back the shards. */
function write(text: string): Promise<void> | undefined {
  if (process.stdout.write(text)) return undefined;
  return new Promise((resolve) => process.stdout.once("drain", resolve));
}

function parseShare(text: string): number {
  const share = Number(text);
  if (text.trim() === "" || !(share >= 0 && share <= 1)) throw new InvalidArgumentError("A share is from 0 to 1.");
  return share;
}
