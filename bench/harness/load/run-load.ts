import { Worker } from "node:worker_threads";
import type { Arrival, ArrivalJob } from "./arrival-thread.ts";
import { HttpPool } from "./http-pool.ts";
import { Latencies } from "./latencies.ts";
import type { LoadJob, LoadResult } from "./load-job.ts";
import { TopQuestions } from "./top-questions.ts";

const EXAMPLES = 3;

/** Runs one load and checks every answer. */
export async function runLoad(job: LoadJob): Promise<LoadResult> {
  const questions = new TopQuestions(job);
  const pool = new HttpPool(job.address);
  const latencies = new Latencies();
  const faultLatencies = new Latencies();
  const faults: Record<number, number> = {};
  const examples: string[] = [];
  let sent = 0;
  let right = 0;
  let wrong = 0;

  const ask = async (dueAt: number) => {
    const question = questions.at(sent++);
    try {
      const { status, body } = await pool.send(question.request);
      const ms = performance.now() - dueAt;
      if (status === 200 && body.equals(question.body)) {
        right++;
        latencies.add(ms);
        return;
      }
      if (status === 200) wrong++;
      else {
        faults[status] = (faults[status] ?? 0) + 1;
        faultLatencies.add(ms);
      }
      if (examples.length < EXAMPLES) examples.push(`${status} ${difference(body, question.body)}`);
    } catch (error) {
      faults[-1] = (faults[-1] ?? 0) + 1;
      if (examples.length < EXAMPLES) examples.push(String(error));
    }
  };

  const startedAt = performance.now();
  try {
    if (job.load.kind === "open") await openLoop(job.load.ratePerSecond, job, ask);
    else await closedLoop(job.load.clients, job.seconds, ask);
  } finally {
    pool.close();
  }
  const seconds = (performance.now() - startedAt) / 1000;
  return {
    sent,
    right,
    wrong,
    faults,
    latency: latencies.summary(),
    faultLatency: faultLatencies.summary(),
    answersPerSecond: right / seconds,
    seconds,
    examples,
  };
}

async function closedLoop(clients: number, seconds: number, ask: (dueAt: number) => Promise<void>): Promise<void> {
  const until = performance.now() + seconds * 1000;
  const client = async () => {
    for (let now = performance.now(); now < until; now = performance.now()) await ask(now);
  };
  await Promise.all(Array.from({ length: clients }, client));
}

/** Sends when it is due, so that a slow gateway is asked no less, and its queue shows in the latencies. */
async function openLoop(ratePerSecond: number, job: LoadJob, ask: (dueAt: number) => Promise<void>): Promise<void> {
  const workerData: ArrivalJob = { ratePerSecond, seconds: job.seconds, seed: job.firstSeed };
  const thread = new Worker(new URL("./arrival-thread.ts", import.meta.url), { workerData });
  const underWay = new Set<Promise<void>>();
  let startedAt = 0;
  await new Promise<void>((resolve, reject) => {
    thread.on("error", reject);
    thread.on("message", (arrival: Arrival | { readonly startedAt: number }) => {
      if (arrival === undefined) return resolve();
      if ("startedAt" in arrival) {
        startedAt = arrival.startedAt - performance.timeOrigin;
        return;
      }
      const asked = ask(startedAt + arrival.dueMs).finally(() => underWay.delete(asked));
      underWay.add(asked);
    });
  });
  await Promise.all(underWay);
  await thread.terminate();
}

/** Where a body begins to differ from the right one. */
function difference(body: Buffer, right: Buffer): string {
  let at = 0;
  while (at < body.length && body[at] === right[at]) at++;
  const from = Math.max(0, at - 40);
  const show = (bytes: Buffer) => bytes.subarray(from, at + 160).toString("utf8");
  return `differs at byte ${at}: "${show(body)}", right is "${show(right)}"`;
}
