import { SERVICE, SNAPSHOT } from "../mesh/bench-names.ts";
import { heaviestBlock } from "../service/filling-blocks.ts";
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

/** `Fill` over HTTP: of all blocks that travelled, the answer must have the one block that is right. */
export function fillDoor(job: LoadJob, bytes: number): Door {
  const pool = new HttpPool(job.address);
  const right = `"id":"${heaviestBlock(bytes)}"`;
  return {
    async ask(index) {
      const content = JSON.stringify({ seed: String(job.firstSeed + index), bytes: String(bytes), limit: 1 });
      const { status, body } = await pool.send(postOf(job, "Fill", content));
      const text = body.toString("utf8");
      if (status !== 200) return { kind: "fault", status, text };
      const isRight = text.includes(right) && text.includes('"complete":true');
      return isRight ? RIGHT : { kind: "wrong", text: `no ${right} in ${text.slice(0, 200)}` };
    },
    close: () => pool.close(),
  };
}

type Asked = Pick<LoadJob, "address" | "limit" | "meanServiceUs" | "timeoutMs">;

export function topRequest(job: Asked, seed: number): string {
  const content = { seed: String(seed), limit: job.limit, meanServiceUs: job.meanServiceUs };
  return postOf(job, "Top", JSON.stringify(content));
}

/** Head and body, ready to be sent. */
function postOf(job: Asked, method: string, content: string): string {
  const timeout = job.timeoutMs === undefined ? "" : `?timeout=${job.timeoutMs}ms`;
  const head = [
    `POST /v1/snapshots/${SNAPSHOT}/${SERVICE}/${method}${timeout} HTTP/1.1`,
    `host: ${job.address}`,
    "content-type: application/json",
    `content-length: ${content.length}`,
  ].join("\r\n");
  return `${head}\r\n\r\n${content}`;
}
