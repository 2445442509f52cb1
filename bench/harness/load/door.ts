import type { LoadJob } from "./load-job.ts";

export type Outcome =
  | { readonly kind: "right" }
  | { readonly kind: "wrong"; readonly text: string }
  /** Refused or failed: an HTTP status, or a gRPC code + 1000. */
  | { readonly kind: "fault"; readonly status: number; readonly text: string };

/** A way to ask and to see whether the answer is right. Questions and their answers are made before the first is sent. */
export interface Door {
  /** The n-th question. Rejects when the connection broke. */
  ask(index: number): Promise<Outcome>;
  close(): void;
}

export const GRPC_STATUS_BASE = 1000;

/** All questions of a job, made by `make` from their seeds. */
export function questionsOf<Q>(job: LoadJob, make: (seed: number) => Q): (index: number) => Q {
  const questions = Array.from({ length: job.distinct }, (_, i) => make(job.firstSeed + i));
  return (index) => questions[index % questions.length] as Q;
}

export const RIGHT: Outcome = { kind: "right" };

/** Where bytes begin to differ from the right ones. */
export function difference(actual: Buffer, right: Buffer): string {
  let at = 0;
  while (at < actual.length && actual[at] === right[at]) at++;
  const from = Math.max(0, at - 40);
  const show = (bytes: Buffer) => bytes.subarray(from, at + 160).toString("utf8");
  return `differs at byte ${at}: "${show(actual)}", right is "${show(right)}"`;
}
