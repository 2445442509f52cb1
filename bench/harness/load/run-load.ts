import { Worker } from "node:worker_threads";
import type { Arrival, ArrivalJob } from "./arrival-thread.ts";
import type { Door } from "./door.ts";
import { grpcDoor } from "./grpc-door.ts";
import { fillDoor, httpDoor } from "./http-door.ts";
import { Latencies } from "./latencies.ts";
import type { LoadJob, LoadResult } from "./load-job.ts";

const EXAMPLES = 3;

export type ReadyLoad = () => Promise<LoadResult>;

/** Makes questions and right answers; what it returns asks them and checks every answer. */
export function readyLoad(job: LoadJob): ReadyLoad {
  const door = doorOf(job);
  return () => runLoad(job, door);
}

async function runLoad(job: LoadJob, door: Door): Promise<LoadResult> {
  const latencies = new Latencies();
  const faultLatencies = new Latencies();
  const faults: Record<number, number> = {};
  const examples: string[] = [];
  let sent = 0;
  let right = 0;
  let wrong = 0;

  const keep = (text: string) => {
    if (examples.length < EXAMPLES) examples.push(text.slice(0, 600));
  };
  const ask = async (dueAt: number) => {
    const broken = (error: unknown) => ({ kind: "fault", status: -1, text: String(error) }) as const;
    const outcome = await door.ask(sent++).catch(broken);
    const ms = performance.now() - dueAt;
    switch (outcome.kind) {
      case "right":
        right++;
        latencies.add(ms);
        break;
      case "wrong":
        wrong++;
        keep(outcome.text);
        break;
      case "fault":
        faults[outcome.status] = (faults[outcome.status] ?? 0) + 1;
        faultLatencies.add(ms);
        keep(`${outcome.status}: ${outcome.text}`);
    }
  };

  const startedAt = performance.now();
  try {
    if (job.load.kind === "open") await openLoop(job.load.ratePerSecond, job, ask);
    else await closedLoop(job.load.clients, job.seconds, ask);
  } finally {
    door.close();
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

function doorOf(job: LoadJob): Door {
  if (job.fillBytes !== undefined) return fillDoor(job, job.fillBytes);
  return job.grpc === undefined ? httpDoor(job) : grpcDoor(job, job.grpc);
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
