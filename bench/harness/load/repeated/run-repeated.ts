import { numbersFrom } from "../../service/drawn-groups.ts";
import { HttpPool } from "../http-pool.ts";
import { Latencies } from "../latencies.ts";
import type { RepeatedJob, RepeatedResult } from "./repeated-job.ts";
import { type Question, repeatedQuestions } from "./repeated-questions.ts";

/** Runs one load, closed, and checks every answer byte for byte. Throws on the first that is wrong. */
export async function runRepeated(job: RepeatedJob): Promise<RepeatedResult> {
  const questions = repeatedQuestions(job);
  const body = job.body === undefined ? undefined : Buffer.from(job.body);
  const pool = new HttpPool(job.address);
  const latencies = new Latencies();
  const cacheStatus: Record<string, number> = {};
  let right = 0;

  const ask = async (question: Question) => {
    const sentAt = performance.now();
    const reply = await pool.send(question.request);
    if (reply.status !== 200 || !reply.body.equals(body ?? question.body)) {
      throw new Error(`wrong: ${reply.status} ${reply.body.toString().slice(0, 300)}`);
    }
    latencies.add(performance.now() - sentAt);
    right++;
    const at = reply.head.indexOf("\r\ncache-status: ");
    if (at < 0) return;
    const status = reply.head.slice(at + 16, reply.head.indexOf("\r\n", at + 16));
    cacheStatus[status] = (cacheStatus[status] ?? 0) + 1;
  };

  // A burst is one only where its connections are open.
  const hello = `GET /healthz HTTP/1.1\r\nhost: ${job.address}\r\n\r\n`;
  await Promise.all(Array.from({ length: job.clients }, () => pool.send(hello)));
  const startedAt = performance.now();
  try {
    if (job.order === "bursts") {
      for (const question of questions) {
        await Promise.all(Array.from({ length: job.clients }, () => ask(question)));
      }
    } else {
      const next = job.order === "all" ? each(questions) : zipf(questions, startedAt + job.seconds * 1000);
      const client = async () => {
        for (let question = next(); question !== undefined; question = next()) await ask(question);
      };
      await Promise.all(Array.from({ length: job.clients }, client));
    }
  } finally {
    pool.close();
  }
  const seconds = (performance.now() - startedAt) / 1000;
  return { right, latency: latencies.summary(), answersPerSecond: right / seconds, cacheStatus };
}

function each(questions: readonly Question[]): () => Question | undefined {
  let at = 0;
  return () => questions[at++];
}

/** Drawn by the inverse of the distribution; the same for every peer. */
function zipf(questions: readonly Question[], until: number): () => Question | undefined {
  const sums = new Float64Array(questions.length);
  for (let rank = 0, sum = 0; rank < sums.length; rank++) {
    sum += 1 / (rank + 1);
    sums[rank] = sum;
  }
  const total = sums.at(-1) as number;
  const draw = numbersFrom(1, 0);
  return () => {
    if (performance.now() >= until) return undefined;
    const wanted = (draw() / 2 ** 32) * total;
    let [low, high] = [0, sums.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((sums[middle] as number) < wanted) low = middle + 1;
      else high = middle;
    }
    return questions[low];
  };
}
