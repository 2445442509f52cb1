/**
 * What a process tells about itself, one line at a time on stderr; stdout belongs to answers and to the ready line.
 *
 * On a terminal lines are for people; elsewhere each is a JSON object, so that the supervisor can take its children's
 * lines apart and tell them on in its own format, with the child's name.
 */
import type { Clock } from "./clock.ts";

export type LogLevel = "info" | "warn" | "error";
export type LogFacts = Readonly<Record<string, string | number | boolean | undefined>>;

export interface LineLog {
  line(level: LogLevel, message: string, facts?: LogFacts): void;
  /** The same log under the name of a part. */
  of(part: string): LineLog;
}

export interface LineLogOptions {
  readonly write: (text: string) => void;
  readonly format: "json" | "human";
  readonly clock: Clock;
  readonly part?: string;
}

export function lineLog(options: LineLogOptions): LineLog {
  const { write, format, clock, part } = options;
  return {
    line(level, message, facts = {}) {
      const time = new Date(clock.now()).toISOString();
      write(
        format === "json" ? jsonLine({ time, level, part, message, ...facts }) : humanLine(level, part, message, facts),
      );
    },
    of: (name) => lineLog({ ...options, part: part === undefined ? name : `${part}/${name}` }),
  };
}

/** For processes: stderr, in the format that `SKYNETES_LOG_FORMAT` or the terminal asks for. */
export function stderrLog(clock: Clock, part?: string): LineLog {
  const wish = process.env.SKYNETES_LOG_FORMAT;
  const format = wish === "json" || wish === "human" ? wish : process.stderr.isTTY ? "human" : "json";
  return lineLog({
    write: (text) => process.stderr.write(text),
    format,
    clock,
    ...(part === undefined ? {} : { part }),
  });
}

/** Tells a child's line on: as it was meant when it is one of ours, as a plain message otherwise. Returns the message. */
export function relayLine(log: LineLog, text: string): string {
  if (text.startsWith("{")) {
    try {
      const { level, message, time: _time, part: _part, ...facts } = JSON.parse(text) as Record<string, unknown>;
      if ((level === "info" || level === "warn" || level === "error") && typeof message === "string") {
        log.line(level, message, facts as LogFacts);
        return message;
      }
    } catch {
      // Not one of ours after all.
    }
  }
  log.line("warn", text);
  return text;
}

function jsonLine(line: Record<string, unknown>): string {
  return `${JSON.stringify(line)}\n`;
}

function humanLine(level: LogLevel, part: string | undefined, message: string, facts: LogFacts): string {
  const told = Object.entries(facts).filter(([, value]) => value !== undefined);
  const tail = told.map(([name, value]) => ` ${name}=${value}`).join("");
  return `${level === "info" ? "" : `${level}: `}${part === undefined ? "" : `[${part}] `}${message}${tail}\n`;
}
