import type { Completeness } from "../../wire/generated/skynetes/v1/stamp_pb.ts";
import type { FinishedAnswer } from "../cache/answer-cache.ts";
import { type CacheOutcome, HIT, type SharedAnswer } from "../cache/shared-answers.ts";
import type { AnswerPieces } from "../merge/merge-execution.ts";
import { completeOf } from "../reply/answer-completeness.ts";
import type { OpenQuery } from "./open-query.ts";
import type { PreparedQuery } from "./prepared-query.ts";

/** Counts as a query under way, and against the gateway's memory, until it is closed: when it has been sent. */
export interface Answer {
  readonly pieces: AnswerPieces;
  /** What HTTP sends, where somebody else was sent the same before. */
  readonly body: Buffer | undefined;
  readonly completeness: Completeness;
  readonly outcome: CacheOutcome;
  /** Aborts on cancel, when the client goes away and when the gateway closes. */
  readonly signal: AbortSignal;
  /** Counts what the reply holds until it is closed. Fault `overloaded`. */
  hold(bytes: number): void;
  /** Hands in the body, for whoever is given the same answer. */
  keepBody(body: Buffer): void;
  /** To be called in any case. */
  close(): void;
}

export function madeAnswer(open: OpenQuery, shared: SharedAnswer): Answer {
  const { finished, completeness, outcome } = shared;
  return {
    pieces: finished.pieces,
    body: finished.body,
    completeness,
    outcome,
    signal: open.signal,
    hold: (bytes) => open.hold(bytes),
    keepBody: (body) => shared.keepBody(body),
    close: () => {
      shared.close();
      open.end();
    },
  };
}

/** There and whole: it becomes a query under way only where sending it takes more than a turn. */
export class KeptAnswer implements Answer {
  readonly pieces: AnswerPieces;
  readonly body: Buffer | undefined;
  readonly completeness: Completeness;
  readonly outcome = HIT;
  readonly keepBody: (body: Buffer) => void;
  readonly #begin: () => OpenQuery;
  #open: OpenQuery | undefined;

  constructor(
    query: PreparedQuery,
    { pieces, body }: FinishedAnswer,
    begin: () => OpenQuery,
    keepBody: (body: Buffer) => void,
  ) {
    this.pieces = pieces;
    this.body = body;
    this.completeness = completeOf(query.resolved.snapshot.shardSeals);
    this.keepBody = keepBody;
    this.#begin = begin;
  }

  get signal(): AbortSignal {
    return this.#opened().signal;
  }

  hold(bytes: number): void {
    this.#opened().hold(bytes);
  }

  close(): void {
    this.#open?.end();
  }

  #opened(): OpenQuery {
    if (this.#open === undefined) {
      this.#open = this.#begin();
      // It has been answered, so its deadline is met.
      this.#open.answered();
    }
    return this.#open;
  }
}
