import type { Counter, Histogram, Meter } from "@opentelemetry/api";
import { type StepEvent, stepBegins, stepEnds } from "./step-channel.ts";

/** Seconds; from a merge in memory to a query that waits for its deadline. */
const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

const HEDGE_RESULTS: Readonly<Record<string, string>> = { ok: "won", dropped: "lost" };

type Facts = StepEvent["facts"];
type Recorder = (event: StepEvent, seconds: number) => void;

/**
 * Counters and histograms from the steps' facts. Labels are names that the mesh's owner chose and words of the
 * catalogue: never an id, and never what a client sent.
 */
export class StepMetrics {
  readonly #meter: Meter;
  readonly #now: () => number;
  /** By way and step. */
  readonly #recorders = new Map<string, Map<string, Recorder>>();

  constructor(meter: Meter, now: () => number) {
    this.#meter = meter;
    this.#now = now;
    for (const [name, recorder] of Object.entries(this.#allRecorders())) {
      const [way = "", ...step] = name.split(" ");
      const ofWay = this.#recorders.get(way) ?? new Map<string, Recorder>();
      this.#recorders.set(way, ofWay.set(step.join(" "), recorder));
    }
  }

  /** Begins to follow the steps; returns what ends it. */
  follow(): () => void {
    const begin = (event: unknown) => {
      (event as StepEvent).startedAt = this.#now();
    };
    const end = (ended: unknown) => {
      const event = ended as StepEvent;
      if (Number.isNaN(event.startedAt)) return;
      this.#recorders.get(event.way)?.get(event.step)?.(event, (this.#now() - event.startedAt) / 1000);
    };
    stepBegins.subscribe(begin);
    stepEnds.subscribe(end);
    return () => {
      stepBegins.unsubscribe(begin);
      stepEnds.unsubscribe(end);
    };
  }

  #allRecorders(): Readonly<Record<string, Recorder>> {
    const queries = this.#counter("skynetes_queries", "Queries by how they ended");
    const queryTime = this.#times("skynetes_query_duration_seconds", "From the first byte in to the answer made");
    const waitTime = this.#times("skynetes_admission_wait_duration_seconds", "Queries that waited for a slot");
    const missing = this.#counter("skynetes_missing_shards", "Shards given up in partial answers");
    const answers = this.#counter("skynetes_cache_answers", "Queries answered, by what became of them at the caches");
    const partials = this.#counter("skynetes_cache_partials", "Partials that merges needed, kept from before or not");
    const callTime = this.#times("skynetes_shard_call_duration_seconds", "Calls of shards, each try");
    const mismatches = this.#counter("skynetes_stamp_mismatches", "Partials rejected for their stamp");
    const retries = this.#counter("skynetes_shard_retries", "Shard calls after a fault of the first");
    const failovers = this.#counter("skynetes_shard_failovers", "Shard calls after the way of the first was lost");
    const hedges = this.#counter("skynetes_shard_hedges", "Shard calls beside one that was overdue");
    const withheld = this.#counter("skynetes_withheld_calls", "Hedges, retries and failovers that were not made");
    const audits = this.#counter("skynetes_replica_audits", "Answers that a second replica was asked for as well");
    const divergences = this.#counter("skynetes_replica_divergence", "Replicas that answered differently");
    const tables = this.#counter("skynetes_route_tables", "Route tables applied and refused");
    const rows = this.#counter("skynetes_ingested_rows", "Rows made durable");
    const rejects = this.#counter("skynetes_rejected_records", "Records put into the rejects table");
    const batchTime = this.#times("skynetes_ingest_batch_duration_seconds", "Transactions of ingest");
    const freezeTime = this.#times("skynetes_freeze_duration_seconds", "Freezes of shards");
    const serveTime = this.#times("skynetes_service_call_duration_seconds", "Calls as the service process sees them");
    const loadTime = this.#times("skynetes_service_load_duration_seconds", "Loads of a shard of a snapshot");
    return {
      "gateway query": ({ facts }, seconds) => {
        const method = { service: word(facts, "service"), method: word(facts, "method") };
        queries.add(1, { ...method, outcome: word(facts, "outcome") });
        // A query that was refused by its names has no time worth a histogram, and no names.
        if (method.service !== "") queryTime.record(seconds, method);
        if (number(facts, "missing") > 0) missing.add(number(facts, "missing"), method);
        if (facts.cache !== undefined) answers.add(1, { ...method, result: word(facts, "cache") });
        const found = number(facts, "partialsFound");
        const asked = number(facts, "partialsAsked");
        if (found > 0) partials.add(found, { result: "hit" });
        if (asked > found) partials.add(asked - found, { result: "miss" });
      },
      "gateway admit": ({ error }, seconds) => {
        waitTime.record(seconds, { outcome: error === undefined ? "admitted" : "refused" });
      },
      "gateway shard call": ({ facts }, seconds) => {
        const shard = { shard: word(facts, "shard") };
        const outcome = facts.dropped === true ? "dropped" : word(facts, "fault") || "ok";
        callTime.record(seconds, { ...shard, outcome });
        if (facts.mismatch === true) mismatches.add(1, shard);
        if (facts.kind === "retry") retries.add(1, shard);
        if (facts.kind === "failover") failovers.add(1, shard);
        if (facts.kind === "hedge") hedges.add(1, { ...shard, result: HEDGE_RESULTS[outcome] ?? "failed" });
      },
      "gateway call withheld": ({ facts }) => withheld.add(1, { kind: word(facts, "kind"), why: word(facts, "why") }),
      "gateway replica audit": ({ facts }) => {
        audits.add(1, { outcome: word(facts, "outcome") });
        if (facts.outcome !== "different") return;
        const { shard, snapshot, version, first, second } = facts;
        divergences.add(1, { shard, snapshot, version, first, second } as Record<string, string>);
      },
      "gateway apply table": ({ error }) => tables.add(1, { outcome: error === undefined ? "applied" : "refused" }),
      "node ingest batch": ({ facts, error }, seconds) => {
        const labels = { topic: word(facts, "topic"), shard: word(facts, "shard") };
        if (error === undefined) {
          rows.add(number(facts, "rows"), labels);
          rejects.add(number(facts, "rejects"), labels);
        }
        batchTime.record(seconds, { shard: labels.shard });
      },
      "node freeze": ({ facts, error }, seconds) => {
        freezeTime.record(seconds, { shard: word(facts, "shard"), outcome: error === undefined ? "ok" : "failed" });
      },
      "service call": ({ facts }, seconds) => {
        serveTime.record(seconds, { transport: word(facts, "transport"), outcome: word(facts, "fault") || "ok" });
      },
      "service load": ({ facts, error }, seconds) => {
        loadTime.record(seconds, { shard: word(facts, "shard"), outcome: error === undefined ? "ok" : "failed" });
      },
    };
  }

  #counter(name: string, description: string): Counter {
    return this.#meter.createCounter(name, { description });
  }

  #times(name: string, description: string): Histogram {
    const advice = { explicitBucketBoundaries: BUCKETS };
    return this.#meter.createHistogram(name, { description, unit: "s", advice });
  }
}

function word(facts: Facts, name: string): string {
  return String(facts[name] ?? "");
}

function number(facts: Facts, name: string): number {
  const value = facts[name];
  return typeof value === "number" ? value : 0;
}
