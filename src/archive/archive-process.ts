/**
 * The archive as a process sees it that must not hang. A call into a network file system may never return, and four of
 * them hold all threads that Node.js has for files and names; so they are made by a process beside this one, which is
 * left and replaced when an operation gives no sign of life.
 *
 * While the archive hangs, callers are refused at once and one at a time tries again, after a growing wait: it resumes
 * by itself. An error that comes back (disk full, read-only) refuses nobody else.
 */
import { Fault } from "../fault/fault.ts";
import { faultFromUnknown } from "../fault/fault-from-unknown.ts";
import type { Clock } from "../process/clock.ts";
import { FewAtATime } from "../process/few-at-a-time.ts";
import { step } from "../telemetry/step-channel.ts";
import type { ArchiveFiles, ArchiveOperation } from "./archive-files.ts";
import { FileChild } from "./file-child.ts";

export interface ArchiveLimits {
  /** From one sign of life of an operation to the next. */
  readonly stallMs: number;
  /** Operations in the archive process at once; the others wait. */
  readonly underWayMax: number;
  readonly waitingMax: number;
  readonly retryFirstMs: number;
  readonly retryMaxMs: number;
  /** Killed processes that the system does not let go of; with so many no other is started. */
  readonly hungMax: number;
  /** A process without work for so long ends. */
  readonly idleMs: number;
}

export const ARCHIVE_LIMITS: ArchiveLimits = {
  stallMs: 10_000,
  underWayMax: 4,
  waitingMax: 256,
  retryFirstMs: 500,
  retryMaxMs: 30_000,
  hungMax: 3,
  idleMs: 30_000,
};

export interface ArchiveProcessOptions {
  /** Absolute. */
  readonly root: string;
  readonly clock: Clock;
  readonly limits?: Partial<ArchiveLimits>;
  /** Another program that answers the same questions. */
  readonly script?: URL;
}

const OPERATIONS: Readonly<Record<ArchiveOperation, "read" | "write">> = {
  readText: "read",
  writeText: "write",
  copyIn: "write",
  copyOut: "read",
  missing: "read",
  list: "read",
  digest: "read",
  remove: "write",
  rename: "write",
};

export class ArchiveProcess {
  readonly files: ArchiveFiles;
  readonly #options: ArchiveProcessOptions;
  readonly #limits: ArchiveLimits;
  readonly #turns: FewAtATime;
  readonly #closing = new AbortController();
  /** The last failure, until an operation of its kind succeeds. */
  readonly #trouble = new Map<"read" | "write", string>();
  #child: FileChild | undefined;
  #hung = 0;
  #waiting = 0;
  /** Set while the archive hangs: nobody asks before `retryAt`, and then one alone. */
  #lost: { readonly why: string; readonly retryAt: number; readonly waitMs: number } | undefined;
  #isProbing = false;
  #cancelIdle = () => {};

  constructor(options: ArchiveProcessOptions) {
    this.#options = options;
    this.#limits = { ...ARCHIVE_LIMITS, ...options.limits };
    this.#turns = new FewAtATime(this.#limits.underWayMax);
    const names = Object.keys(OPERATIONS) as ArchiveOperation[];
    const calls = names.map((name) => [name, (...args: readonly unknown[]) => this.#call(name, args)]);
    this.files = Object.fromEntries(calls) as ArchiveFiles;
  }

  /** Why the archive cannot be used as it should, for people; undefined when the last operations went well. */
  get trouble(): string | undefined {
    return [...new Set(this.#trouble.values())].join("; ") || undefined;
  }

  /** What is under way fails; nothing is waited for. */
  close(): void {
    this.#closing.abort(new Fault("archive-unavailable", `use archive ${this.#options.root}: it is closed`));
    this.#cancelIdle();
    this.#child?.kill("it is closed");
  }

  #call(operation: ArchiveOperation, args: readonly unknown[]): Promise<unknown> {
    return step("archive", OPERATIONS[operation], {}, () => this.#guarded(operation, args));
  }

  async #guarded(operation: ArchiveOperation, args: readonly unknown[]): Promise<unknown> {
    this.#closing.signal.throwIfAborted();
    this.#refuseWhileLost(operation);
    if (this.#waiting >= this.#limits.waitingMax) {
      const { root } = this.#options;
      throw new Fault(
        "archive-unavailable",
        `${operation} in ${root}: ${this.#waiting} operations are waiting already`,
      );
    }
    this.#waiting += 1;
    try {
      return await this.#turns.run(this.#closing.signal, () => this.#ask(operation, args));
    } finally {
      this.#waiting -= 1;
    }
  }

  async #ask(operation: ArchiveOperation, args: readonly unknown[]): Promise<unknown> {
    // It may have been lost while this one waited.
    const isProbe = this.#refuseWhileLost(operation);
    if (isProbe) this.#isProbing = true;
    this.#cancelIdle();
    try {
      const value = await this.#running(operation).ask(operation, args);
      this.#wentWell(operation);
      return value;
    } catch (error) {
      const fault = faultFromUnknown(error, operation);
      // Damaged data is an answer: the archive works.
      if (fault.id === "archive-unavailable") this.#trouble.set(OPERATIONS[operation], fault.message);
      else this.#wentWell(operation);
      throw fault;
    } finally {
      if (isProbe) this.#isProbing = false;
      this.#endWhenIdle();
    }
  }

  /** True: this one is to try whether the archive is there again. */
  #refuseWhileLost(operation: ArchiveOperation): boolean {
    const { root, clock } = this.#options;
    if (this.#lost === undefined) return false;
    const { why, retryAt } = this.#lost;
    const waitMs = Math.ceil(retryAt - clock.monotonic());
    if (waitMs <= 0 && !this.#isProbing) return true;
    const detail = { retryAfterMs: Math.max(waitMs, this.#limits.retryFirstMs) };
    throw new Fault("archive-unavailable", `${operation} in ${root}: the archive does not answer: ${why}`, detail);
  }

  #running(operation: ArchiveOperation): FileChild {
    if (this.#child !== undefined) return this.#child;
    const { root, clock, script = CHILD } = this.#options;
    if (this.#hung >= this.#limits.hungMax) {
      this.#lose(`${this.#hung} processes hang in it`);
      throw new Fault("archive-unavailable", `${operation} in ${root}: ${this.#hung} processes hang in it`);
    }
    const { stallMs } = this.#limits;
    const child: FileChild = new FileChild({ script, root, clock, stallMs, onLost: (why) => this.#onLost(child, why) });
    this.#child = child;
    return child;
  }

  #onLost(child: FileChild, why: string): void {
    if (this.#child !== child) return;
    this.#leave(child);
    this.#lose(why);
  }

  #leave(child: FileChild): void {
    this.#child = undefined;
    this.#hung += 1;
    void child.ended.then(() => {
      this.#hung -= 1;
    });
    child.leave();
  }

  #lose(why: string): void {
    const { retryFirstMs, retryMaxMs } = this.#limits;
    const waitMs = this.#lost === undefined ? retryFirstMs : Math.min(this.#lost.waitMs * 2, retryMaxMs);
    this.#lost = { why, waitMs, retryAt: this.#options.clock.monotonic() + waitMs };
  }

  #wentWell(operation: ArchiveOperation): void {
    this.#lost = undefined;
    this.#trouble.delete(OPERATIONS[operation]);
  }

  #endWhenIdle(): void {
    this.#cancelIdle();
    if (this.#closing.signal.aborted) return;
    this.#cancelIdle = this.#options.clock.after(this.#limits.idleMs, () => {
      if (this.#child?.underWay === 0) this.#leave(this.#child);
    });
  }
}

/** Beside this file, from source and from dist alike. */
const CHILD = asThisFile(new URL("./archive-child.ts", import.meta.url));

function asThisFile(url: URL): URL {
  return import.meta.url.endsWith(".js") ? new URL(url.href.replace(/\.ts$/, ".js")) : url;
}
