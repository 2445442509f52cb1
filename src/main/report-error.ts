import { QueryError } from "../client/query-error.ts";
import { Fault } from "../fault/fault.ts";
import { systemClock } from "../process/clock.ts";
import { EXIT_CODE, exitCodeOfFault } from "../process/exit-code.ts";
import { stderrLog } from "../process/log-line.ts";
import { SUPERVISED_VARIABLE } from "../process/run-until-signal.ts";

/** Tells an error on stderr, one clear line and the list of what is wrong in detail, and returns the exit code. */
export function reportError(error: unknown, verbose: boolean, write = writeError) {
  // Ctrl-C in a query: the user knows.
  if (error instanceof DOMException && error.name === "AbortError") return EXIT_CODE.interrupted;
  write(errorText(error, verbose));
  if (error instanceof Fault) return exitCodeOfFault(error);
  if (error instanceof QueryError && error.id === "incomplete-answer") return EXIT_CODE.incompleteAnswer;
  return EXIT_CODE.failure;
}

/** A supervisor takes lines apart, so an error of several lines is one line to it. */
function writeError(text: string): void {
  if (process.env[SUPERVISED_VARIABLE] === "1") {
    stderrLog(systemClock).line("error", text.replace(/^error: /, "").trimEnd());
  } else {
    process.stderr.write(text);
  }
}

function errorText(error: unknown, verbose: boolean): string {
  if (!(error instanceof Error)) return `error: ${String(error)}\n`;
  const errors = detailsOf(error);
  // A message that lists the mistakes itself (a manifest's does) is not followed by the same list.
  const listed = errors.filter(({ detail }) => !error.message.includes(detail));
  const lines = listed.map(({ pointer, detail }) => `  ${pointer === "" ? "" : `${pointer}: `}${detail}\n`);
  const expected = error instanceof Fault || error instanceof QueryError;
  // An unexpected error without its origin cannot be reported by anybody.
  const origin = verbose || !expected ? `${stackOf(error)}\n` : "";
  return `error: ${error.message}\n${lines.join("")}${origin}`;
}

function detailsOf(error: Error): readonly { readonly pointer: string; readonly detail: string }[] {
  if (error instanceof Fault) return error.detail.errors ?? [];
  if (error instanceof QueryError) return error.problem?.errors ?? [];
  return [];
}

function stackOf(error: Error): string {
  const frames = (error.stack ?? "").split("\n").filter((line) => line.startsWith("    at "));
  const cause = error.cause instanceof Error ? [`  caused by: ${error.cause.message}`, stackOf(error.cause)] : [];
  return [...frames, ...cause].join("\n");
}
