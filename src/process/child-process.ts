/**
 * One run of a child: spawned, ready, ended. Restarting is the supervisor's; this file knows pipes and signals.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { Fault } from "../fault/fault.ts";
import type { Clock } from "./clock.ts";
import { type LineLog, relayLine } from "./log-line.ts";
import { parseReady, type ReadyAddresses } from "./ready-line.ts";
import { SUPERVISED_VARIABLE } from "./run-until-signal.ts";

export interface ChildRun {
  readonly pid: number;
  /** The ready line's addresses; rejects when the child ends or the deadline passes before it is there. */
  readonly ready: Promise<ReadyAddresses>;
  /** Never rejects. */
  readonly ended: Promise<ChildEnd>;
  /** SIGTERM, then SIGKILL after the grace; resolves when the process has ended. */
  stop(graceMs: number): Promise<void>;
  kill(): void;
}

export interface ChildEnd {
  /** Why it ended. */
  readonly text: string;
  /** Absent: it was killed, or never started. */
  readonly code: number | undefined;
  /** The last it wrote on stderr. */
  readonly lastWords: string;
}

export interface ChildCommand {
  readonly name: string;
  readonly executable: string;
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly readyTimeoutMs: number;
}

export function runChild(command: ChildCommand, clock: Clock, log: LineLog): ChildRun {
  const child = spawn(command.executable, command.argv, {
    // The child reads its stdin only to learn that we are gone.
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...command.env, [SUPERVISED_VARIABLE]: "1", SKYNETES_LOG_FORMAT: "json" },
  });
  // A pipe to a child that has just died; its end is reported by `ended`.
  child.stdin.on("error", () => {});
  let lastWords = "";
  createInterface({ input: child.stderr }).on("line", (line) => {
    lastWords = relayLine(log, line);
  });

  const ended = childEnded(child, clock).then((end) => ({ ...end, lastWords }));
  const ready = childReady(child, command, clock, ended);
  // Whoever does not wait for readiness learns of the end by `ended`.
  ready.catch(() => {});
  return {
    pid: child.pid ?? -1,
    ready,
    ended,
    kill: () => void child.kill("SIGKILL"),
    async stop(graceMs) {
      child.kill("SIGTERM");
      const cancel = clock.after(graceMs, () => {
        log.line("warn", `did not stop within ${graceMs} ms, killed`);
        child.kill("SIGKILL");
      });
      await ended;
      cancel();
    },
  };
}

/** How long the last lines of a child that has ended are waited for: a process of its own may still hold the pipe. */
const LAST_LINES_MS = 500;

function childEnded(child: ChildProcess, clock: Clock): Promise<Pick<ChildEnd, "text" | "code">> {
  return new Promise((resolve) => {
    child.once("error", (error) => resolve({ text: `could not be started: ${error.message}`, code: undefined }));
    child.once("exit", (code, signal) => {
      const why = { text: signal === null ? `exit code ${code}` : `killed by ${signal}`, code: code ?? undefined };
      const cancel = clock.after(LAST_LINES_MS, () => resolve(why));
      child.once("close", () => {
        cancel();
        resolve(why);
      });
    });
  });
}

function childReady(
  child: ChildProcess,
  command: ChildCommand,
  clock: Clock,
  ended: Promise<ChildEnd>,
): Promise<ReadyAddresses> {
  return new Promise((resolve, reject) => {
    const fail = (why: string) => {
      cancel();
      reject(new Fault("not-ready", `start ${command.name}: ${why}`));
    };
    const cancel = clock.after(command.readyTimeoutMs, () => fail(`not ready after ${command.readyTimeoutMs} ms`));
    void ended.then(({ text }) => fail(text));
    createInterface({ input: child.stdout! }).on("line", (line) => {
      const addresses = parseReady(line);
      if (addresses === undefined) return;
      cancel();
      resolve(addresses);
    });
  });
}
