/**
 * The way of a query, each step once: receive → resolve → plan → scatter → merge → reply.
 *
 * HTTP, answer sets and gRPC come in by different doors and go through this one engine, so that no policy, limit or
 * check exists in one mode only. `prepare` does all that needs no shard and is quick; `answer` and `stream` ask.
 */
import assert from "node:assert";
import { setImmediate } from "node:timers/promises";
import { fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import type { Slices } from "../accumulator/sliced-sort.ts";
import { Fault } from "../fault/fault.ts";
import { faultFromUnknown } from "../fault/fault-from-unknown.ts";
import type { Clock, Randomness } from "../process/clock.ts";
import { step } from "../telemetry/step-channel.ts";
import { type Completeness, type TopBounds, TopBoundsSchema } from "../wire/generated/skynetes/v1/stamp_pb.ts";
import type { GatewayLimits } from "./gateway-config.ts";
import type { MergeExecution } from "./merge/merge-execution.ts";
import { mergeSortedRows } from "./merge/merge-sorted-rows.ts";
import { startMerge } from "./merge/start-merge.ts";
import { OpenQuery } from "./open-query.ts";
import { describePlan } from "./plan/describe-plan.ts";
import { planDigest } from "./plan/plan-digest.ts";
import type { ShardRequest } from "./plan/query-plan.ts";
import { shardPruning } from "./plan/shard-pruning.ts";
import { shardRequest } from "./plan/shard-request.ts";
import type { PreparedQuery } from "./prepared-query.ts";
import { QueryRegister } from "./query-register.ts";
import type { QueryIntent } from "./receive/query-intent.ts";
import { decodeRequest } from "./receive/request-message.ts";
import { entityTag } from "./reply/entity-tag.ts";
import { resolveQuery } from "./resolve/resolve-query.ts";
import type { RoutingState } from "./resolve/routing-state.ts";
import { askShard, openShardStream, type ShardAsker, type ShardQuestion } from "./scatter/ask-shard.ts";
import { ReplicaLoad } from "./scatter/replica-choice.ts";
import type { ShardTransport } from "./scatter/shard-transport.ts";

/** Half of what the event loop may be held for: a slice may overrun by one step of the merge. */
const SLICE_MS = 1;

export interface Answer {
  readonly message: Message;
  readonly completeness: Completeness;
}

export interface AnswerStream {
  /** In global order. Faults end it. */
  readonly messages: AsyncIterable<Message>;
  /** Final once the messages have ended. */
  completeness(): Completeness;
  /** Stops the shards; to be called in any case. */
  close(): void;
}

export interface GatewayParts {
  readonly transport: ShardTransport;
  readonly clock: Clock;
  readonly randomness: Randomness;
  readonly limits: GatewayLimits;
  /** The table in use. Fault `not-ready` before the first. */
  readonly currentState: () => RoutingState;
}

export class Gateway {
  readonly register: QueryRegister;
  readonly limits: GatewayLimits;
  readonly #parts: GatewayParts;
  readonly #asker: ShardAsker;

  constructor(parts: GatewayParts) {
    this.#parts = parts;
    this.limits = parts.limits;
    this.register = new QueryRegister(parts.clock, parts.limits.queriesMax, parts.limits.retryAfterMs);
    this.#asker = { transport: parts.transport, clock: parts.clock, load: new ReplicaLoad() };
  }

  /** The table that a request pins for its life. Faults: `not-ready`, `table-behind`. */
  pinState(atLeast?: bigint): RoutingState {
    const state = this.#parts.currentState();
    if (atLeast === undefined || state.epoch >= atLeast) return state;
    throw new Fault("table-behind", `answer at epoch ${atLeast} or later: this gateway has ${state.epoch}`, {
      retryAfterMs: this.limits.retryAfterMs,
    });
  }

  /** Faults of resolve, of the request, of the plan. */
  prepare(intent: QueryIntent, state?: RoutingState): PreparedQuery {
    try {
      return this.#prepare(intent, state ?? this.pinState(intent.atLeast));
    } catch (error) {
      // Names that a client made up are no labels for metrics: refused queries are counted without them.
      const fault = faultFromUnknown(error, "prepare query");
      const facts = { outcome: fault.id };
      void step("gateway", "query", facts, () => Promise.reject(fault)).catch(() => undefined);
      throw fault;
    }
  }

  #prepare(intent: QueryIntent, state: RoutingState): PreparedQuery {
    const { clock, randomness, limits } = this.#parts;
    const startedAt = clock.monotonic();
    const timeoutMs = Math.min(intent.timeoutMs ?? limits.deadlineDefaultMs, limits.deadlineMaxMs);
    if (timeoutMs <= 0) throw new Fault("deadline-exceeded", "prepare query: the deadline has passed");

    const resolved = resolveQuery(state, intent.target);
    const { plan, version, snapshot } = resolved;
    const request = decodeRequest(plan.method.input, intent.body, version.registry);
    const forShards = shardRequest(plan, request);
    const excluded = shardPruning(plan, request, [...snapshot.shardSeals.values()]);
    const pruned = new Map(excluded.map(({ shard, reason }) => [shard, reason]));
    const tag = !plan.deterministic
      ? undefined
      : entityTag({
          snapshot: snapshot.id,
          stateDigests: state.shards.map((shard) => snapshot.shardSeals.get(shard)?.stateDigest ?? ""),
          version: version.name,
          planDigest: planDigest(plan),
          method: `${version.service}/${plan.method.name}`,
          request: toBinary(plan.method.input, request),
          format: "application/json",
        });
    assert(forShards.$typeName === request.$typeName, "a shard is asked in the method's own type");
    return {
      id: intent.queryId ?? randomness.id(),
      intent,
      resolved,
      request,
      deadline: startedAt + timeoutMs,
      asked: state.shards.filter((shard) => !pruned.has(shard)),
      pruned,
      tag,
      timings: new Map([["resolve", clock.monotonic() - startedAt]]),
    };
  }

  /** A unary method. Faults: any of the catalogue's for queries. */
  async answer(query: PreparedQuery): Promise<Answer> {
    return this.#asStep(query, async (open) => {
      const message = await this.#scatterAndMerge(query, open);
      return { message, completeness: open.completeness() };
    });
  }

  async #scatterAndMerge(query: PreparedQuery, open: OpenQuery): Promise<Message> {
    const { clock, limits } = this.#parts;
    const startedAt = clock.monotonic();
    const { plan } = query.resolved;
    const merge = startMerge(plan, query.request, query.asked, { groupBytesMax: limits.groupBytesMax });
    const gathered = { bytes: 0 };
    let round = merge.begin();
    for (let number = 1; round.length > 0; number++) {
      const requests = round;
      const facts = { round: number, calls: requests.length };
      await step("gateway", "scatter", facts, () => this.#askRound(open, merge, requests, gathered));
      round = await this.#inSlices(merge.nextSlices());
      open.throwIfStopped();
    }
    const scattered = clock.monotonic();
    const message = await step("gateway", "merge", { bytes: gathered.bytes }, () => {
      return this.#inSlices(merge.finishSlices());
    });
    query.timings.set("scatter", scattered - startedAt);
    query.timings.set("merge", clock.monotonic() - scattered);
    open.throwIfStopped();
    return message;
  }

  /** All requests of a round at once; the first fault that the answer cannot do without stops the others. */
  async #askRound(
    open: OpenQuery,
    merge: MergeExecution,
    requests: readonly ShardRequest[],
    gathered: { bytes: number },
  ): Promise<void> {
    const failed = new AbortController();
    const signal = AbortSignal.any([open.signal, failed.signal]);
    const settled = new Set<number>();
    const answered = new Set<ShardRequest>();

    const ask = async (request: ShardRequest) => {
      const { shard } = request;
      try {
        const reply = await askShard(this.#asker, this.#question(open, request), signal);
        signal.throwIfAborted();
        if (open.missing.has(shard)) return;
        gathered.bytes += reply.message.length;
        if (gathered.bytes > this.limits.groupBytesMax) {
          const text = `answer query: the shards' partials exceed ${this.limits.groupBytesMax} bytes`;
          throw new Fault("answer-too-large", text);
        }
        assert(!answered.has(request), "a shard enters a merge once");
        answered.add(request);
        const partial = { shard, request, ...decodePartial(open, shard, reply.message, reply.bounds) };
        await this.#inSlices(merge.acceptSlices(partial));
        settled.add(shard);
        open.entry.answered = Math.max(open.entry.answered, settled.size);
      } catch (error) {
        const fault = faultFromUnknown(error, `ask shard ${shard}`);
        if (open.missing.has(shard)) return;
        try {
          open.giveUpShard(shard, fault);
          merge.exclude(shard);
        } catch (fatal) {
          failed.abort(fatal);
          throw fatal;
        }
      }
    };
    await Promise.all(requests.map(ask));
  }

  /** A server-streaming method. Resolves when every shard has vouched for its stream, or was given up. */
  stream(query: PreparedQuery): Promise<AnswerStream> {
    const { plan } = query.resolved;
    assert(plan.merge.kind === "sorted", "streams are merged by their order");
    return new Promise((resolve, reject) => {
      const whole = this.#asStep(query, async (open, ended) => {
        const startedAt = this.#parts.clock.monotonic();
        const streams = await this.#openStreams(open);
        query.timings.set("scatter", this.#parts.clock.monotonic() - startedAt);
        const rows = mergeSortedRows(plan, streams, query.request);
        const { promise, resolve: finish, reject: fail } = Promise.withResolvers<void>();
        resolve({
          messages: untilStopped(rows, open, finish, fail),
          completeness: () => open.completeness(),
          close: () => {
            ended();
            finish();
          },
        });
        await promise;
        return { completeness: open.completeness() };
      });
      whole.catch(reject);
    });
  }

  async #openStreams(open: OpenQuery): Promise<Map<number, AsyncIterable<Message>>> {
    const { query } = open;
    const { plan } = query.resolved;
    const request = shardRequest(plan, query.request);
    const failed = new AbortController();
    const opening = AbortSignal.any([open.signal, failed.signal]);
    const streams = new Map<number, AsyncIterable<Message>>();
    const openOne = async (shard: number) => {
      try {
        const stream = await openShardStream(this.#asker, this.#question(open, { shard, request }), opening);
        streams.set(shard, rowsOf(stream.messages, shard, open));
      } catch (error) {
        try {
          open.giveUpShard(shard, faultFromUnknown(error, `ask shard ${shard}`));
        } catch (fatal) {
          failed.abort(fatal);
          throw fatal;
        }
      }
    };
    await step("gateway", "scatter", { round: 1, calls: query.asked.length }, async () => {
      await Promise.all(query.asked.map(openOne));
    });
    return streams;
  }

  /** How the query would be answered; no shard is asked. */
  explain(query: PreparedQuery): Explanation {
    const { plan, snapshot, version, state } = query.resolved;
    const lines = [
      `${version.service}/${plan.method.name} at snapshot ${snapshot.id}, version ${version.name}, epoch ${state.epoch}`,
      `shards asked: ${query.asked.join(", ") || "none"}`,
      ...[...query.pruned].map(([shard, reason]) => `shard ${shard} left out: ${reason}`),
      "",
      describePlan(plan),
    ];
    return {
      snapshot: { id: snapshot.id, version: version.name, epoch: state.epoch.toString() },
      shards: {
        asked: query.asked.map((shard) => ({
          shard,
          rows: (snapshot.shardSeals.get(shard)?.rows ?? 0n).toString(),
          placements: (state.endpoints.get(version.name)?.get(shard) ?? []).map((endpoint) => endpoint.node),
        })),
        leftOut: [...query.pruned].map(([shard, reason]) => ({ shard, reason })),
      },
      etag: query.tag ?? null,
      text: lines.join("\n"),
    };
  }

  #question(open: OpenQuery, { shard, request }: ShardRequest): ShardQuestion {
    const { state, snapshot, version, plan } = open.query.resolved;
    return {
      expected: {
        shard,
        snapshot: snapshot.id,
        stateDigest: snapshot.shardSeals.get(shard)?.stateDigest ?? "",
        serviceVersion: version.name,
      },
      replicas: state.endpoints.get(version.name)?.get(shard) ?? [],
      path: `/${version.service}/${plan.method.name}`,
      request: toBinary(plan.method.input, request),
      deadline: open.shardDeadline,
      traceparent: open.query.intent.traceparent,
    };
  }

  /** Merging a million groups takes a second; other queries are not made to wait for it more than a slice. */
  async #inSlices<T>(slices: Slices<T>): Promise<T> {
    const { clock } = this.#parts;
    for (let until = clock.monotonic() + SLICE_MS; ; ) {
      const turn = slices.next();
      if (turn.done) return turn.value;
      if (clock.monotonic() < until) continue;
      await setImmediate();
      until = clock.monotonic() + SLICE_MS;
    }
  }

  /** Opens the query, runs it as one step, and ends it whatever happens. */
  #asStep<T extends { readonly completeness: Completeness }>(
    query: PreparedQuery,
    work: (open: OpenQuery, end: () => void) => Promise<T>,
  ): Promise<T> {
    const { version, plan, snapshot } = query.resolved;
    const facts: Record<string, string | number | boolean> = {
      service: version.service,
      method: plan.method.name,
      snapshot: snapshot.id,
      version: version.name,
      queryId: query.id,
      ...(query.intent.traceparent === undefined ? {} : { traceparent: query.intent.traceparent }),
    };
    return step("gateway", "query", facts, async (event) => {
      const open = new OpenQuery(query, this.register, this.#parts.clock, this.limits.partialFloor);
      try {
        const result = await work(open, () => open.end());
        event.facts.outcome = result.completeness.complete ? "complete" : "partial";
        event.facts.missing = open.missing.size;
        return result;
      } catch (error) {
        const fault = faultFromUnknown(error, "answer query");
        event.facts.outcome = fault.id;
        throw fault;
      } finally {
        open.end();
      }
    });
  }
}

export interface Explanation {
  readonly snapshot: { readonly id: string; readonly version: string; readonly epoch: string };
  readonly shards: {
    readonly asked: readonly {
      readonly shard: number;
      readonly rows: string;
      readonly placements: readonly string[];
    }[];
    readonly leftOut: readonly { readonly shard: number; readonly reason: string }[];
  };
  readonly etag: string | null;
  readonly text: string;
}

function decodePartial(
  open: OpenQuery,
  shard: number,
  message: Uint8Array,
  bounds: Uint8Array | undefined,
): { message: Message; bounds: TopBounds | undefined } {
  try {
    return {
      message: fromBinary(open.query.resolved.plan.method.output, message),
      bounds: bounds === undefined ? undefined : fromBinary(TopBoundsSchema, bounds),
    };
  } catch (error) {
    throw new Fault("bad-partial", `read partial of shard ${shard}: ${(error as Error).message}`, { shard }, error);
  }
}

/** A shard's rows. When it breaks and the client accepts partial answers, it just ends, and counts as missing. */
async function* rowsOf(
  messages: AsyncIterable<Uint8Array>,
  shard: number,
  open: OpenQuery,
): AsyncGenerator<Message, void, undefined> {
  try {
    for await (const bytes of messages) yield decodePartial(open, shard, bytes, undefined).message;
  } catch (error) {
    open.giveUpShard(shard, faultFromUnknown(error, `read rows of shard ${shard}`));
  }
}

/** The merged rows, ending the query with them. */
async function* untilStopped(
  rows: AsyncIterable<Message>,
  open: OpenQuery,
  finish: () => void,
  fail: (fault: Fault) => void,
): AsyncGenerator<Message, void, undefined> {
  try {
    for await (const row of rows) {
      open.throwIfStopped();
      yield row;
    }
    open.throwIfStopped();
    finish();
  } catch (error) {
    // What stopped the query says more than what the stopped streams complain of.
    const reason = open.signal.aborted ? open.signal.reason : error;
    const fault = faultFromUnknown(reason, "answer query");
    fail(fault);
    throw fault;
  } finally {
    finish();
  }
}
