import { SERVICE, SNAPSHOT } from "../mesh/bench-names.ts";
import { rightBody } from "../service/right-answer.ts";
import type { LoadJob } from "./load-job.ts";

export interface Question {
  /** Head and body, ready to be sent. */
  readonly request: string;
  /** The body of the right reply. */
  readonly body: Buffer;
}

/** Requests with their right answers, all made before the first is sent. */
export class TopQuestions {
  readonly #questions: readonly Question[];

  constructor(job: LoadJob) {
    this.#questions = Array.from({ length: job.distinct }, (_, i) => questionOf(job, job.firstSeed + i));
  }

  at(index: number): Question {
    return this.#questions[index % this.#questions.length] as Question;
  }
}

export function questionOf(
  job: Pick<LoadJob, "address" | "shards" | "limit" | "meanServiceUs" | "timeoutMs">,
  seed: number,
): Question {
  const content = JSON.stringify({ seed: String(seed), limit: job.limit, meanServiceUs: job.meanServiceUs });
  const timeout = job.timeoutMs === undefined ? "" : `?timeout=${job.timeoutMs}ms`;
  const head = [
    `POST /v1/snapshots/${SNAPSHOT}/${SERVICE}/Top${timeout} HTTP/1.1`,
    `host: ${job.address}`,
    "content-type: application/json",
    `content-length: ${content.length}`,
  ].join("\r\n");
  return { request: `${head}\r\n\r\n${content}`, body: Buffer.from(rightBody(seed, job.shards, job.limit)) };
}
