/** Strict queries without a pause against a small mesh: each must be answered, whole and exactly. */
import { request } from "undici";
import { vi } from "vitest";
import type { Flight } from "./small-mesh.ts";

const DELAY = "flights.v1.DelayService";

/** A snapshot, what is in it, and from how many minutes its version calls a flight delayed. */
export interface StrictSubject {
  readonly snapshot: string;
  readonly flights: readonly Flight[];
  readonly delayedFrom: number;
}

export function strictSubjects(flights: readonly Flight[]): readonly StrictSubject[] {
  return [
    { snapshot: "january", flights: flights.filter(({ date }) => date < "2001-02-01"), delayedFrom: 1 },
    { snapshot: "all", flights, delayedFrom: 15 },
  ];
}

const THINK_MS = 10;
/** A mesh that has stopped answering fails the test by this, not by the test's own timeout. */
const ANSWERED_WITHIN_MS = 60_000;

export class StrictLoad {
  /** Everything that was not the right answer, with what was said instead. */
  readonly failed: string[] = [];
  #answers = 0;
  #running = true;
  readonly #url: () => string;
  readonly #asked: readonly { readonly snapshot: string; readonly expected: string }[];
  readonly #workers: readonly Promise<void>[];

  constructor(url: () => string, subjects: readonly StrictSubject[], workers: number) {
    this.#url = url;
    this.#asked = subjects.map((subject) => ({ snapshot: subject.snapshot, expected: expectedOf(subject) }));
    this.#workers = Array.from({ length: workers }, (_, worker) => this.#work(worker));
  }

  /** Returns once `count` more queries were answered, rightly or not. */
  async answered(count: number): Promise<void> {
    const until = this.#answers + this.failed.length + count;
    await vi.waitFor(
      () => {
        const now = this.#answers + this.failed.length;
        if (now < until) throw new Error(`${until - now} of ${count} queries have no answer yet`);
      },
      { timeout: ANSWERED_WITHIN_MS, interval: 20 },
    );
  }

  async stop(): Promise<number> {
    this.#running = false;
    await Promise.all(this.#workers);
    return this.#answers;
  }

  async #work(worker: number): Promise<void> {
    for (let i = worker; this.#running; i++) {
      const { snapshot, expected } = this.#asked[i % this.#asked.length]!;
      const said = await summarize(this.#url(), snapshot).catch((error: Error) => `no answer: ${error.message}`);
      if (said === expected) this.#answers += 1;
      else this.failed.push(`${snapshot}: ${said}`);
      await new Promise((wake) => setTimeout(wake, THINK_MS));
    }
  }
}

/** The answer as text, or what was said instead of it. */
export async function summarize(url: string, snapshot: string): Promise<string> {
  const answer = await request(`${url}/v1/snapshots/${snapshot}/${DELAY}/Summarize`, {
    method: "POST",
    headers: { "content-type": "application/json", "cache-control": "no-cache" },
    body: "{}",
  });
  const text = await answer.body.text();
  if (answer.statusCode !== 200) return `status ${answer.statusCode}: ${text}`;
  return JSON.stringify((JSON.parse(text) as { answer: unknown }).answer);
}

export function expectedOf({ flights, delayedFrom }: StrictSubject): string {
  const delays = flights.map(({ delay }) => delay);
  const total = delays.reduce((sum, delay) => sum + delay, 0);
  return JSON.stringify({
    flights: String(flights.length),
    delayed: String(delays.filter((delay) => delay >= delayedFrom).length),
    totalDelayMinutes: String(total),
    totalDistanceMiles: String(flights.reduce((sum, { distance }) => sum + distance, 0)),
    minDelayMinutes: String(Math.min(...delays)),
    maxDelayMinutes: String(Math.max(...delays)),
    meanDelayMinutes: total / flights.length,
  });
}
