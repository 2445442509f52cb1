import { Fault } from "../fault/fault.ts";
import type { OwnCounter, OwnNumbers, OwnTimes } from "./own-numbers.ts";
import { type StepEvent, stepBegins, stepEnds } from "./step-channel.ts";

/** Seconds; from a merge in memory to a query that waits for its deadline. */
const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

const HEDGE_RESULTS: Readonly<Record<string, string>> = { ok: "won", dropped: "lost" };

/** Labels of replicas that differ. */
const DIVERGENCE = ["shard", "snapshot", "version", "first", "second"];

type Facts = StepEvent["facts"];
type Recorder = (event: StepEvent, seconds: number) => void;

/**
 * Counters and histograms from the steps' facts. Labels are names that the mesh's owner chose and words of the
 * catalogue: never an id, and never what a client sent.
 */
export class StepMetrics {
  readonly #numbers: OwnNumbers;
  readonly #now: () => number;
  /** By way and step. */
  readonly #recorders = new Map<string, Map<string, Recorder>>();

  constructor(numbers: OwnNumbers, now: () => number) {
    this.#numbers = numbers;
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
    const queries = this.#counter("skynetes_queries", "Queries by how they ended", "service", "method", "outcome");
    const queryTime = this.#times(
      "skynetes_query_duration_seconds",
      "From the first byte in to the answer made",
      "service",
      "method",
    );
    const waitTime = this.#times(
      "skynetes_admission_wait_duration_seconds",
      "Queries that waited for a slot",
      "outcome",
    );
    const missing = this.#counter("skynetes_missing_shards", "Shards given up in partial answers", "service", "method");
    const answers = this.#counter(
      "skynetes_cache_answers",
      "Queries answered, by what became of them at the caches",
      "service",
      "method",
      "result",
    );
    const partials = this.#counter(
      "skynetes_cache_partials",
      "Partials that merges needed, kept from before or not",
      "result",
    );
    const callTime = this.#times(
      "skynetes_shard_call_duration_seconds",
      "Calls of shards, each try",
      "shard",
      "outcome",
    );
    const mismatches = this.#counter("skynetes_stamp_mismatches", "Partials rejected for their stamp", "shard");
    const retries = this.#counter("skynetes_shard_retries", "Shard calls after a fault of the first", "shard");
    const failovers = this.#counter(
      "skynetes_shard_failovers",
      "Shard calls after the way of the first was lost",
      "shard",
    );
    const hedges = this.#counter("skynetes_shard_hedges", "Shard calls beside one that was overdue", "shard", "result");
    const withheld = this.#counter(
      "skynetes_withheld_calls",
      "Hedges, retries and failovers that were not made",
      "kind",
      "why",
    );
    const audits = this.#counter(
      "skynetes_replica_audits",
      "Answers that a second replica was asked for as well",
      "outcome",
    );
    const divergences = this.#counter(
      "skynetes_replica_divergence",
      "Replicas that answered differently",
      ...DIVERGENCE,
    );
    const tables = this.#counter("skynetes_route_tables", "Route tables applied and refused", "outcome");
    const rows = this.#counter("skynetes_ingested_rows", "Rows made durable", "topic", "shard");
    const rejects = this.#counter("skynetes_rejected_records", "Records put into the rejects table", "topic", "shard");
    const batchTime = this.#times("skynetes_ingest_batch_duration_seconds", "Transactions of ingest", "shard");
    const freezeTime = this.#times("skynetes_freeze_duration_seconds", "Freezes of shards", "shard", "outcome");
    const archiveTime = this.#times(
      "skynetes_archive_operation_duration_seconds",
      "Operations on the archive",
      "kind",
      "outcome",
    );
    const serveTime = this.#times(
      "skynetes_service_call_duration_seconds",
      "Calls as the service process sees them",
      "transport",
      "outcome",
    );
    const loadTime = this.#times(
      "skynetes_service_load_duration_seconds",
      "Loads of a shard of a snapshot",
      "shard",
      "outcome",
    );
    return {
      "gateway query": ({ facts }, seconds) => {
        const [service, method] = [word(facts, "service"), word(facts, "method")];
        queries.add(1, service, method, word(facts, "outcome"));
        // A query that was refused by its names has no time worth a histogram, and no names.
        if (service !== "") queryTime.record(seconds, service, method);
        if (number(facts, "missing") > 0) missing.add(number(facts, "missing"), service, method);
        if (facts.cache !== undefined) answers.add(1, service, method, word(facts, "cache"));
        const found = number(facts, "partialsFound");
        const asked = number(facts, "partialsAsked");
        if (found > 0) partials.add(found, "hit");
        if (asked > found) partials.add(asked - found, "miss");
      },
      "gateway admit": ({ error }, seconds) => waitTime.record(seconds, error === undefined ? "admitted" : "refused"),
      "gateway shard call": ({ facts }, seconds) => {
        const shard = word(facts, "shard");
        const outcome = facts.dropped === true ? "dropped" : word(facts, "fault") || "ok";
        callTime.record(seconds, shard, outcome);
        if (facts.mismatch === true) mismatches.add(1, shard);
        if (facts.kind === "retry") retries.add(1, shard);
        if (facts.kind === "failover") failovers.add(1, shard);
        if (facts.kind === "hedge") hedges.add(1, shard, HEDGE_RESULTS[outcome] ?? "failed");
      },
      "gateway call withheld": ({ facts }) => withheld.add(1, word(facts, "kind"), word(facts, "why")),
      "gateway replica audit": ({ facts }) => {
        audits.add(1, word(facts, "outcome"));
        if (facts.outcome === "different") divergences.add(1, ...DIVERGENCE.map((label) => word(facts, label)));
      },
      "gateway apply table": ({ error }) => tables.add(1, error === undefined ? "applied" : "refused"),
      "node ingest batch": ({ facts, error }, seconds) => {
        const [topic, shard] = [word(facts, "topic"), word(facts, "shard")];
        if (error === undefined) {
          rows.add(number(facts, "rows"), topic, shard);
          rejects.add(number(facts, "rejects"), topic, shard);
        }
        batchTime.record(seconds, shard);
      },
      "node freeze": ({ facts, error }, seconds) => {
        freezeTime.record(seconds, word(facts, "shard"), error === undefined ? "ok" : "failed");
      },
      "archive read": ({ error }, seconds) => archiveTime.record(seconds, "read", outcomeOf(error)),
      "archive write": ({ error }, seconds) => archiveTime.record(seconds, "write", outcomeOf(error)),
      "service call": ({ facts }, seconds) => {
        serveTime.record(seconds, word(facts, "transport"), word(facts, "fault") || "ok");
      },
      "service load": ({ facts, error }, seconds) => {
        loadTime.record(seconds, word(facts, "shard"), error === undefined ? "ok" : "failed");
      },
    };
  }

  #counter(name: string, description: string, ...labels: readonly string[]): OwnCounter {
    return this.#numbers.counter(name, description, ...labels);
  }

  #times(name: string, description: string, ...labels: readonly string[]): OwnTimes {
    return this.#numbers.times(name, description, BUCKETS, ...labels);
  }
}

/** Damaged data is not the archive's refusal, so the fault is told. */
function outcomeOf(error: unknown): string {
  return error === undefined ? "ok" : error instanceof Fault ? error.id : "failed";
}

function word(facts: Facts, name: string): string {
  return String(facts[name] ?? "");
}

function number(facts: Facts, name: string): number {
  const value = facts[name];
  return typeof value === "number" ? value : 0;
}
