import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { EXIT_CODE } from "../process/exit-code.ts";
import { addArchiveCommands } from "./archive-command.ts";
import { addExplainCommand } from "./explain-command.ts";
import { addGatewayCommand } from "./gateway-command.ts";
import { addNodeCommand } from "./node-command.ts";
import { addProduceCommand } from "./produce-command.ts";
import type { ProgramFacts } from "./program-facts.ts";
import { addQueryCommand } from "./query-command.ts";
import { addRejectsCommands } from "./rejects-command.ts";
import { reportError } from "./report-error.ts";
import { addServiceCommand } from "./service-command.ts";
import { addShardCommands } from "./shard-command.ts";
import { addSnapshotCommands } from "./snapshot-command.ts";
import { addUpCommand } from "./up-command.ts";

/** Runs one command line and returns the exit code. */
export async function runCommandLine(args: readonly string[], facts: ProgramFacts): Promise<number> {
  const program = commandLine(facts);
  // Not an option of commander's: it would take `--version NAME` from `skynetes service`.
  if (args[0] === "--version" || args[0] === "-V") {
    process.stdout.write(`${packageVersion()}\n`);
    return EXIT_CODE.ok;
  }
  try {
    await program.parseAsync([...args], { from: "user" });
    return Number(process.exitCode ?? EXIT_CODE.ok);
  } catch (error) {
    if (error instanceof CommanderError) {
      // Help and version were asked for; anything else is a mistake in the command line, which commander has told.
      return error.exitCode === 0 ? EXIT_CODE.ok : EXIT_CODE.usage;
    }
    return reportError(error, program.opts<{ verbose?: boolean }>().verbose === true);
  }
}

export function commandLine(facts: ProgramFacts): Command {
  const program = new Command("skynetes")
    .description("Global answers over sharded data: one exact moment, one exact version of the code.")
    .option("--verbose", "tell where an error came from")
    .exitOverride()
    .showHelpAfterError("(--help tells more)")
    .showSuggestionAfterError()
    .addHelpText("after", EXIT_CODES);
  addUpCommand(program, facts);
  addProduceCommand(program);
  addSnapshotCommands(program);
  addRejectsCommands(program);
  addShardCommands(program);
  addQueryCommand(program);
  addExplainCommand(program);
  addGatewayCommand(program, facts);
  addNodeCommand(program, facts);
  addServiceCommand(program, facts);
  addArchiveCommands(program);
  return program;
}

/** Of the package this file belongs to, from source and from dist alike. */
function packageVersion(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

const EXIT_CODES = `
Exit codes:
  ${EXIT_CODE.ok}    done
  ${EXIT_CODE.failure}    failed; the error is on stderr
  ${EXIT_CODE.usage}    the command line is wrong
  ${EXIT_CODE.incompleteAnswer}    some shards did not answer
  ${EXIT_CODE.unavailable}   another process has the data directory or the port
  ${EXIT_CODE.configuration}   the manifest or another configuration is wrong
  ${EXIT_CODE.interrupted}  stopped at once by a second Ctrl-C

Data goes to stdout, everything else to stderr. 'skynetes --version' tells the program's version.`;
