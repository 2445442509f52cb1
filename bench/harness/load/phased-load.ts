/**
 * Open-loop load whose rate changes while it runs, in a process of its own: requests are due by Poisson at the rate of
 * the phase, whatever has become of those before, and what became of them is told for each second in which they were due.
 */
import { SERVICE, SNAPSHOT } from "../mesh/bench-names.ts";
import { answerQuestions } from "../process/answer-questions.ts";
import { numbersFrom } from "../service/drawn-groups.ts";
import { rightBody } from "../service/right-answer.ts";
import { HttpPool } from "./http-pool.ts";

export interface LoadPhase {
  readonly ratePerSecond: number;
  readonly seconds: number;
}

export interface PhasedJob {
  /** host:port of the HTTP door. */
  readonly address: string;
  readonly phases: readonly LoadPhase[];
  readonly shards: number;
  readonly meanServiceUs: number;
  readonly timeoutMs: number;
}

/** Requests that were due within one second. Latencies in milliseconds, from when they were due. */
export interface LoadSecond {
  sent: number;
  readonly right: number[];
  readonly refused: number[];
  /** Neither: by status; -1: the connection broke; 0: a wrong answer. */
  readonly others: Record<number, number>;
}

const LIMIT = 10;
const DISTINCT = 2048;

async function run(job: PhasedJob): Promise<LoadSecond[]> {
  const questions = Array.from({ length: DISTINCT }, (_, seed) => questionOf(job, seed));
  const pool = new HttpPool(job.address);
  const length = job.phases.reduce((sum, phase) => sum + phase.seconds, 0);
  const seconds = Array.from({ length }, (): LoadSecond => ({ sent: 0, right: [], refused: [], others: {} }));
  const underWay = new Set<Promise<void>>();
  let asked = 0;
  const ask = async (startedAt: number, dueMs: number) => {
    const second = seconds[Math.min(length - 1, Math.floor(dueMs / 1000))] as LoadSecond;
    const { request, body } = questions[asked++ % DISTINCT] as (typeof questions)[number];
    second.sent++;
    const reply = await pool.send(request).catch(() => ({ status: -1, body: Buffer.alloc(0) }));
    const ms = performance.now() - startedAt - dueMs;
    if (reply.status === 503) second.refused.push(ms);
    else if (reply.status === 200 && reply.body.equals(body)) second.right.push(ms);
    else {
      const status = reply.status === 200 ? 0 : reply.status;
      second.others[status] = (second.others[status] ?? 0) + 1;
    }
  };

  const next = numbersFrom(1, 0x10ad);
  const startedAt = performance.now();
  let dueMs = 0;
  let phaseEndMs = 0;
  for (const phase of job.phases) {
    phaseEndMs += phase.seconds * 1000;
    while (dueMs < phaseEndMs) {
      const waitMs = dueMs - (performance.now() - startedAt);
      // Those of a millisecond go out together.
      if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
      const work = ask(startedAt, dueMs).finally(() => underWay.delete(work));
      underWay.add(work);
      dueMs += (-Math.log((next() + 0.5) / 2 ** 32) * 1000) / phase.ratePerSecond;
    }
  }
  await Promise.all(underWay);
  pool.close();
  return seconds;
}

function questionOf({ address, shards, meanServiceUs, timeoutMs }: PhasedJob, seed: number) {
  const content = JSON.stringify({ seed: String(seed), limit: LIMIT, meanServiceUs });
  const head = [
    `POST /v1/snapshots/${SNAPSHOT}/${SERVICE}/Top?timeout=${timeoutMs}ms HTTP/1.1`,
    `host: ${address}`,
    "content-type: application/json",
    `content-length: ${content.length}`,
  ].join("\r\n");
  return { request: `${head}\r\n\r\n${content}`, body: Buffer.from(rightBody(seed, shards, LIMIT)) };
}

answerQuestions({ run }, { ending: true });
