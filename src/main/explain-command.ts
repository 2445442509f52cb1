import type { Command } from "commander";
import { dataDirOption, outputOption } from "./options.ts";
import { gatewayOption } from "./query-command.ts";
import { type CallText, gatewayUrl, jsonCall, parseCall } from "./query-target.ts";

interface ExplainOptions {
  readonly dataDir: string;
  readonly gateway?: string;
  readonly output: "table" | "json";
}

export function addExplainCommand(program: Command): void {
  program
    .command("explain")
    .summary("show how a question would be answered")
    .description(
      "Shows the plan of a query: what it resolves to, which shards are asked, how partials are merged. Asks no shard.",
    )
    .argument("<snapshot>", "a snapshot's id, or 'latest'")
    .argument("<call>", "package.Service[@version]/Method", parseCall)
    .argument("[request]", "the request as protobuf JSON; '-': from stdin", "{}")
    .addOption(gatewayOption())
    .addOption(dataDirOption())
    .addOption(outputOption("table"))
    .addHelpText(
      "after",
      "\nExample:\n  $ skynetes explain h1-2001 flights.v1.DelayService/TopDestinations '{\"limit\":5}'",
    )
    .action(explain);
}

async function explain(snapshot: string, call: CallText, request: string, options: ExplainOptions): Promise<void> {
  const { createClient } = await import("../client/client.ts");
  const client = createClient({ baseUrl: gatewayUrl(options) });
  try {
    const version = call.version === undefined ? {} : { version: call.version };
    const plan = await client.explainJson(jsonCall(snapshot, call, request), version);
    const text = (plan as { text?: unknown } | null)?.text;
    const isText = options.output === "table" && typeof text === "string";
    process.stdout.write(isText ? `${text.trimEnd()}\n` : `${JSON.stringify(plan, null, 2)}\n`);
  } finally {
    await client.close();
  }
}
