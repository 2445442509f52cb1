import type { DescMessage } from "@bufbuild/protobuf";
import type { Fault } from "../../fault/fault.ts";
import type { Stamp } from "../../mesh/stamp.ts";
import type { Clock } from "../../process/clock.ts";
import { countGroups } from "./count-groups.ts";

/**
 * What a shard's answer may tell of its way. All of it is optional: who asked and how it was carried decide what is
 * known. Times with `Ms` in milliseconds, with `Us` in microseconds.
 */
export interface AnswerFacts {
  readonly stamp?: Stamp | undefined;
  readonly message?: Uint8Array;
  /** Absent or 0: the method's response message. */
  readonly format?: number;
  readonly transport?: string;
  readonly pod?: string;
  /** Calls that were packed into the frame of this one. */
  readonly callsInFrame?: number;
  /** In the service: before the handler began, and until its partial was ready. */
  readonly timing?: { readonly queueUs: number; readonly serviceUs: number } | undefined;
  /** How the one answer of the question came about. */
  readonly call?: {
    /** That answered. */
    readonly node: string;
    /** `first`, `hedge`, `retry`, … */
    readonly wonBy: string;
    readonly attempts: number;
    readonly hedged: boolean;
    /** Until a placement had room. */
    readonly queuedMs: number;
    /** The call that was taken. */
    readonly tookMs: number;
  };
}

/** One question to one shard. Times from the query's beginning. */
export interface ShardVisit {
  readonly shard: number;
  readonly round: number;
  readonly askedMs: number;
  answeredMs?: number;
  mergedMs?: number;
  bytes: number;
  /** In the partial of a unary method, written in its response message. */
  groups?: number;
  /** Of a stream. */
  rows?: number;
  isCached: boolean;
  /** Without the message: who keeps it counts it. */
  facts: Pick<AnswerFacts, "transport" | "pod" | "callsInFrame" | "timing" | "call">;
  fault?: Fault;
}

/** What a visit is told of, step by step. */
export interface VisitRecorder {
  answered(facts: AnswerFacts): void;
  /** A kept partial was used: no shard was asked. */
  cached(): void;
  row(bytes: number): void;
  merged(): void;
  failed(fault: Fault): void;
}

/**
 * Collects how a query was answered, where its client asked for that; other queries have none, and pay a comparison with
 * `undefined` for each step.
 */
export class QueryProfile {
  readonly visits: ShardVisit[] = [];
  readonly #clock: Clock;
  readonly #output: DescMessage;
  readonly #startedAt: number;
  #round = 1;

  constructor(clock: Clock, output: DescMessage) {
    this.#output = output;
    this.#clock = clock;
    this.#startedAt = clock.monotonic();
  }

  get elapsedMs(): number {
    return this.#clock.monotonic() - this.#startedAt;
  }

  beginRound(number: number): void {
    this.#round = number;
  }

  visit(shard: number): VisitRecorder {
    const visit: ShardVisit = {
      shard,
      round: this.#round,
      askedMs: this.elapsedMs,
      bytes: 0,
      isCached: false,
      facts: {},
    };
    this.visits.push(visit);
    return {
      answered: ({ message, format, transport, pod, callsInFrame, timing, call }) => {
        visit.answeredMs = this.elapsedMs;
        visit.facts = {
          ...(transport === undefined ? {} : { transport }),
          ...(pod === undefined ? {} : { pod }),
          ...(callsInFrame === undefined ? {} : { callsInFrame }),
          ...(timing === undefined ? {} : { timing }),
          ...(call === undefined ? {} : { call }),
        };
        if (message === undefined) return;
        visit.bytes += message.length;
        const groups = format ? undefined : countGroups(this.#output, message);
        if (groups !== undefined) visit.groups = groups;
      },
      cached: () => {
        visit.isCached = true;
      },
      row: (bytes) => {
        visit.rows = (visit.rows ?? 0) + 1;
        visit.bytes += bytes;
      },
      merged: () => {
        visit.mergedMs = this.elapsedMs;
      },
      failed: (fault) => {
        visit.fault = fault;
      },
    };
  }
}
