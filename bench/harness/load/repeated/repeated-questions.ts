import { SERVICE, SNAPSHOT } from "../../mesh/bench-names.ts";
import { rightBody } from "../../service/right-answer.ts";
import type { RepeatedJob } from "./repeated-job.ts";

const LIMIT = 10;

export interface Question {
  /** Head and body, ready to be sent. */
  readonly request: string;
  /** The body of the right reply. */
  readonly body: Buffer;
}

/** Kept from job to job: making ten thousand right answers takes longer than measuring them. */
const known = new Map<string, readonly Question[]>();

export function repeatedQuestions(job: RepeatedJob): readonly Question[] {
  const name = JSON.stringify([job.address, job.shards, job.distinct, job.firstSeed, job.meanServiceUs]);
  const made = known.get(name) ?? Array.from({ length: job.distinct }, (_, i) => questionOf(job, job.firstSeed + i));
  known.set(name, made);
  return made;
}

function questionOf({ address, shards, meanServiceUs }: RepeatedJob, seed: number): Question {
  const content = JSON.stringify({ seed: String(seed), limit: LIMIT, meanServiceUs });
  const head = [
    `POST /v1/snapshots/${SNAPSHOT}/${SERVICE}/Top HTTP/1.1`,
    `host: ${address}`,
    "content-type: application/json",
    `content-length: ${content.length}`,
  ].join("\r\n");
  return { request: `${head}\r\n\r\n${content}`, body: Buffer.from(rightBody(seed, shards, LIMIT)) };
}
