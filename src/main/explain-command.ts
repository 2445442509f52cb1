import type { Command } from "commander";
import { dataDirOption, outputOption } from "./options.ts";
import { gatewayOption } from "./query-command.ts";
import { type CallText, gatewayUrl, jsonCall, parseCall } from "./query-target.ts";

interface ExplainOptions {
  readonly dataDir: string;
  readonly gateway?: string;
  readonly output: "table" | "json";
  readonly profile?: true;
}

export function addExplainCommand(program: Command): void {
  program
    .command("explain")
    .summary("show how a question would be answered, or was")
    .description(
      "Shows the plan of a query: what it resolves to, which shards are asked, how partials are merged. Asks no shard.\n" +
        "With --profile it asks, and shows for each shard and round who answered and where the time went.",
    )
    .argument("<snapshot>", "a snapshot's id, or 'latest'")
    .argument("<call>", "package.Service[@version]/Method", parseCall)
    .argument("[request]", "the request as protobuf JSON; '-': from stdin", "{}")
    .option("--profile", "answer the question, and show how it was answered")
    .addOption(gatewayOption())
    .addOption(dataDirOption())
    .addOption(outputOption("table"))
    .addHelpText(
      "after",
      "\nExamples:\n" +
        "  $ skynetes explain h1-2001 flights.v1.DelayService/TopDestinations '{\"limit\":5}'\n" +
        "  $ skynetes explain --profile h1-2001 flights.v1.DelayService/TopDestinations '{\"limit\":5}'",
    )
    .action(explain);
}

async function explain(snapshot: string, call: CallText, request: string, options: ExplainOptions): Promise<void> {
  const { createClient } = await import("../client/client.ts");
  const client = createClient({ baseUrl: gatewayUrl(options) });
  try {
    const version = call.version === undefined ? {} : { version: call.version };
    const mode = options.profile === true ? "profile" : "plan";
    const explained = await client.explainJson(jsonCall(snapshot, call, request), version, mode);
    const shown = mode === "plan" ? explained : (explained as { profile?: unknown } | null)?.profile;
    const text = (shown as { text?: unknown } | null | undefined)?.text;
    const isText = options.output === "table" && typeof text === "string";
    process.stdout.write(isText ? `${text.trimEnd()}\n` : `${JSON.stringify(explained, null, 2)}\n`);
  } finally {
    await client.close();
  }
}
