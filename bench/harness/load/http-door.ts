import { SERVICE, SNAPSHOT } from "../mesh/bench-names.ts";
import { rightBody } from "../service/right-answer.ts";
import { type Door, difference, questionsOf, RIGHT } from "./door.ts";
import { HttpPool } from "./http-pool.ts";
import type { LoadJob } from "./load-job.ts";

/** `Top` over HTTP, whose whole body must be the right one. */
export function httpDoor(job: LoadJob): Door {
  const pool = new HttpPool(job.address);
  const questionAt = questionsOf(job, (seed) => ({
    request: topRequest(job, seed),
    body: Buffer.from(rightBody(seed, job.shards, job.limit)),
  }));
  return {
    async ask(index) {
      const question = questionAt(index);
      const { status, body } = await pool.send(question.request);
      if (status !== 200) return { kind: "fault", status, text: body.toString("utf8") };
      return body.equals(question.body) ? RIGHT : { kind: "wrong", text: difference(body, question.body) };
    },
    close: () => pool.close(),
  };
}

/** Head and body, ready to be sent. */
export function topRequest(
  job: Pick<LoadJob, "address" | "limit" | "meanServiceUs" | "timeoutMs">,
  seed: number,
): string {
  const content = JSON.stringify({ seed: String(seed), limit: job.limit, meanServiceUs: job.meanServiceUs });
  const timeout = job.timeoutMs === undefined ? "" : `?timeout=${job.timeoutMs}ms`;
  const head = [
    `POST /v1/snapshots/${SNAPSHOT}/${SERVICE}/Top${timeout} HTTP/1.1`,
    `host: ${job.address}`,
    "content-type: application/json",
    `content-length: ${content.length}`,
  ].join("\r\n");
  return `${head}\r\n\r\n${content}`;
}
