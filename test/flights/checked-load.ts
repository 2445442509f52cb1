/** Queries without a pause, every answer compared with what one database says; only clear errors are forgiven. */
import type { FlightFilter, FlightsOracle, SnapshotName, TopOrder } from "./flights-oracle.ts";
import { ask, type HttpAnswer } from "./mesh-process.ts";

export interface CheckedCall {
  readonly snapshot: SnapshotName;
  readonly call: string;
  readonly request: unknown;
  readonly expected: unknown;
}

/** What a client may be told while a part of the mesh is away. Anything else is a defect. */
const CLEAR = new Set([
  "incomplete-answer",
  "shard-unavailable",
  "snapshot-not-bound",
  "not-ready",
  "deadline-exceeded",
  "overloaded",
  "table-behind",
  "unknown-snapshot",
  "unknown-service",
]);

const THINK_MS = 20;

export async function checkedCalls(oracle: FlightsOracle, airports: readonly string[]): Promise<CheckedCall[]> {
  const calls: CheckedCall[] = [];
  const delay = "flights.v1.DelayService";
  for (const snapshot of ["q1-2001", "h1-2001"] as const) {
    for (const filter of [
      {},
      ...airports.filter((_, i) => i % 12 === 0).map((origin) => ({ origin })),
    ] as FlightFilter[]) {
      const expected = await oracle.summarize(snapshot, filter);
      calls.push({ snapshot, call: `${delay}/Summarize`, request: filter, expected });
    }
    for (const order of ["ORDER_FLIGHTS", "ORDER_TOTAL_DELAY", "ORDER_MEAN_DELAY"] as TopOrder[]) {
      const expected = await oracle.topDestinations(snapshot, order, 10);
      calls.push({ snapshot, call: `${delay}/TopDestinations`, request: { order, limit: 10 }, expected });
    }
    const days = await oracle.dailyCounts(snapshot, { origin: "ATL" });
    calls.push({ snapshot, call: `${delay}/DailyCounts`, request: { origin: "ATL" }, expected: days });
    const busiest = await oracle.busiest(snapshot, 10);
    calls.push({ snapshot, call: "flights.v1.NetworkService/Busiest", request: { limit: 10 }, expected: busiest });
  }
  return calls;
}

export class CheckedLoad {
  readonly right = new Map<string, number>();
  /** Clear errors, by what they said. */
  readonly errors = new Map<string, number>();
  readonly wrong: string[] = [];
  #running = true;
  readonly #workers: Promise<void>[];

  constructor(url: () => string, calls: readonly CheckedCall[], concurrency: number) {
    this.#workers = Array.from({ length: concurrency }, (_, worker) => this.#work(url, calls, worker));
  }

  async stop(): Promise<void> {
    this.#running = false;
    await Promise.all(this.#workers);
  }

  get total(): number {
    return [...this.right.values()].reduce((sum, n) => sum + n, 0);
  }

  async #work(url: () => string, calls: readonly CheckedCall[], worker: number): Promise<void> {
    for (let i = worker * 7; this.#running; i++) {
      const call = calls[i % calls.length] as CheckedCall;
      const outcome = await check(url(), call);
      if (outcome.kind === "right") {
        count(this.right, call.call);
        // The processes under test share these cores: a load that saturates them would measure the load.
        await new Promise((wake) => setTimeout(wake, THINK_MS));
      } else if (outcome.kind === "error") {
        count(this.errors, outcome.what);
        await new Promise((wake) => setTimeout(wake, 50));
      } else {
        this.wrong.push(`${call.snapshot} ${call.call} ${JSON.stringify(call.request)}: ${outcome.what}`);
      }
    }
  }
}

export type Outcome = { readonly kind: "right" } | { readonly kind: "error" | "wrong"; readonly what: string };

export async function check(url: string, call: CheckedCall): Promise<Outcome> {
  let reply: HttpAnswer;
  try {
    reply = await ask(url, `/v1/snapshots/${call.snapshot}/${call.call}`, call.request);
  } catch (error) {
    // The gateway itself was away: a refused or broken connection, never a body.
    return { kind: "error", what: `connection: ${(error as { code?: string }).code ?? String(error)}` };
  }
  let body: { answer?: unknown; completeness?: { complete: boolean }; type?: string };
  try {
    body = JSON.parse(reply.text);
  } catch {
    return { kind: "wrong", what: `status ${reply.status}, a body that is not JSON: ${reply.text.slice(0, 200)}` };
  }
  if (reply.status === 200) {
    const same = JSON.stringify(body.answer) === JSON.stringify(call.expected) && body.completeness?.complete === true;
    return same ? { kind: "right" } : { kind: "wrong", what: reply.text.slice(0, 500) };
  }
  const id = body.type?.split("/").at(-1) ?? "";
  return CLEAR.has(id)
    ? { kind: "error", what: id }
    : { kind: "wrong", what: `status ${reply.status}: ${reply.text.slice(0, 500)}` };
}

function count(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
