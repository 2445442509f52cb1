/**
 * The way of a query, each step once: receive → resolve → plan → scatter → merge → reply.
 *
 * HTTP, answer sets and gRPC come in by different doors and go through this one engine, so that no policy, limit or
 * check exists in one mode only. `prepare` does all that needs no shard and is quick; `answer` and `stream` ask.
 */
import assert from "node:assert";
import type { Message } from "@bufbuild/protobuf";
import { Fault } from "../fault/fault.ts";
import { faultFromUnknown } from "../fault/fault-from-unknown.ts";
import type { Clock, Randomness } from "../process/clock.ts";
import type { LineLog } from "../process/log-line.ts";
import { type StepEvent, step } from "../telemetry/step-channel.ts";
import { canonicalBytes } from "../wire/canonical-message.ts";
import type { Completeness } from "../wire/generated/skynetes/v1/stamp_pb.ts";
import { Admission } from "./admission/admission.ts";
import { admitted } from "./admission/admitted.ts";
import { askRound } from "./ask-round.ts";
import type { FinishedAnswer } from "./cache/answer-cache.ts";
import type { QueryPartials } from "./cache/query-partials.ts";
import { HIT, SharedAnswers } from "./cache/shared-answers.ts";
import type { GatewayLimits } from "./gateway-config.ts";
import { comparablePartial } from "./merge/comparable-partial.ts";
import type { AnswerPieces } from "./merge/merge-execution.ts";
import { mergeSortedRows } from "./merge/merge-sorted-rows.ts";
import { MergeRun } from "./merge-threads/merge-run.ts";
import { MergeThreads } from "./merge-threads/merge-threads.ts";
import { shardPruning } from "./plan/shard-pruning.ts";
import { checkRequest } from "./plan/shard-request.ts";
import { type Answer, KeptAnswer, madeAnswer } from "./query/answer.ts";
import type { Gathering } from "./query/gathering.ts";
import { MemoryPool } from "./query/memory-pool.ts";
import { OpenQuery } from "./query/open-query.ts";
import type { PreparedQuery, UnderstoodQuery } from "./query/prepared-query.ts";
import { addCacheFacts, queryFacts } from "./query/query-facts.ts";
import { QueryProfile } from "./query/query-profile.ts";
import { QueryRegister } from "./query/query-register.ts";
import type { QueryIntent } from "./receive/query-intent.ts";
import { decodeRequest } from "./receive/request-message.ts";
import { describeProfile } from "./reply/describe-profile.ts";
import { type Explanation, explainQuery } from "./reply/explain-query.ts";
import type { ProfileJson } from "./reply/profile-json.ts";
import { requestTag } from "./reply/request-tag.ts";
import { resolveQuery } from "./resolve/resolve-query.ts";
import { openRowStreams, untilStopped } from "./row-streams.ts";
import { scatterPolicy } from "./scatter/scatter-policy.ts";
import { type ShardAsker, shardAsker } from "./scatter/shard-asker.ts";
import type { ShardTransport } from "./scatter/shard-transport.ts";
import type { RoutingState } from "./table/routing-state.ts";

export interface AnswerStream {
  /** In global order. Faults end it. */
  readonly messages: AsyncIterable<Message>;
  /** Final once the messages have ended. */
  completeness(): Completeness;
  /** Aborts at the query's deadline, on cancel, and when the client goes away: whoever waits for a reader waits on it. */
  readonly signal: AbortSignal;
  /** Stops the shards; to be called in any case. */
  close(): void;
}

export interface GatewayParts {
  readonly transport: ShardTransport;
  readonly clock: Clock;
  readonly randomness: Randomness;
  readonly limits: GatewayLimits;
  /** Queries that ask the same at the same time are answered together. */
  readonly joins: boolean;
  /** Mean delay of the event loop since the last call, in milliseconds. */
  readonly takeLoopDelay: () => number;
  /** The table in use. Fault `not-ready` before the first. */
  readonly currentState: () => RoutingState;
  /** Told of replicas that differ. */
  readonly log?: LineLog | undefined;
}

export class Gateway {
  readonly register: QueryRegister;
  /** Answers and partials that are kept, and queries that are answered together. */
  readonly shared: SharedAnswers;
  readonly limits: GatewayLimits;
  readonly admission: Admission;
  readonly #parts: GatewayParts;
  readonly asker: ShardAsker;
  readonly #pool: MemoryPool;
  /** Where large merges run. */
  readonly threads: MergeThreads;

  constructor(parts: GatewayParts) {
    this.#parts = parts;
    this.limits = parts.limits;
    const { queriesMax, queueMax, retryAfterMs, memoryBytesMax } = parts.limits;
    this.admission = new Admission(parts);
    // Those that wait, ask, and send their answer.
    this.register = new QueryRegister(parts.clock, queriesMax + queueMax, retryAfterMs);
    this.#pool = new MemoryPool(memoryBytesMax, retryAfterMs);
    this.asker = shardAsker({ ...parts, policy: scatterPolicy(parts.limits), comparable: comparablePartial });
    this.threads = new MergeThreads(parts.limits.mergeThreadsMax, parts.clock);
    this.shared = new SharedAnswers({ ...parts.limits, joins: parts.joins, pool: this.#pool, clock: parts.clock });
  }

  /** Bytes that queries under way hold, as they are counted. */
  get memoryHeld(): number {
    return this.#pool.held;
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

    const understood = this.shared.understand(intent, state, () => understand(intent, state));
    return {
      ...understood,
      id: intent.queryId ?? randomness.id(),
      intent,
      deadline: startedAt + timeoutMs,
      ...(intent.wantsProfile === true ? { tag: undefined } : {}),
      profile:
        intent.wantsProfile === true ? new QueryProfile(clock, understood.resolved.plan.method.output) : undefined,
      timings: new Map([["resolve", clock.monotonic() - startedAt]]),
    };
  }

  /** A unary method. Faults: any of the catalogue's for queries. */
  async answer(query: PreparedQuery): Promise<Answer> {
    const kept = this.shared.find(query);
    if (kept !== undefined) return this.#keptAnswer(query, kept);
    return this.#asStep(query, async (open, _end, event) => {
      const gather = (gathering: Gathering, partials?: QueryPartials) =>
        admitted(this.admission, this.#parts.clock, gathering, () => this.#scatterAndMerge(gathering, partials));
      const shared = await this.shared.gather(query, open, gather);
      open.answered();
      addCacheFacts(event, shared.outcome);
      return madeAnswer(open, shared);
    });
  }

  #keptAnswer(query: PreparedQuery, finished: FinishedAnswer): Promise<Answer> {
    const begin = () => this.#open(query);
    const keepBody = (body: Buffer) => this.shared.keepBody(query, finished, body);
    return step("gateway", "query", queryFacts(query), async (event) => {
      event.facts.outcome = "complete";
      addCacheFacts(event, HIT);
      return new KeptAnswer(query, finished, begin, keepBody);
    });
  }

  async #scatterAndMerge(open: Gathering, partials: QueryPartials | undefined): Promise<AnswerPieces> {
    const { query } = open;
    const { clock, limits } = this.#parts;
    const { plan } = query.resolved;
    const merge = new MergeRun({
      plan,
      request: query.request,
      shards: query.asked,
      limits: { groupBytesMax: limits.groupBytesMax, hold: (bytes) => open.hold(bytes) },
      clock,
      signal: open.signal,
      threads: this.threads,
      threadBytes: limits.mergeThreadBytes,
    });
    try {
      return await this.#mergeRounds(open, merge, partials);
    } finally {
      merge.close();
    }
  }

  async #mergeRounds(open: Gathering, merge: MergeRun, partials: QueryPartials | undefined): Promise<AnswerPieces> {
    const { query } = open;
    const { clock, limits } = this.#parts;
    const startedAt = clock.monotonic();
    const parts = { asker: this.asker, ...limits, partials };
    const gathered = { bytes: 0 };
    let round = merge.begin();
    for (let number = 1; round.length > 0; number++) {
      const requests = round;
      query.profile?.beginRound(number);
      const ask = () => askRound(parts, open, merge, requests, gathered);
      await step("gateway", "scatter", { round: number, calls: requests.length }, ask);
      round = await merge.next();
      open.throwIfStopped();
    }
    const scattered = clock.monotonic();
    const facts = { bytes: gathered.bytes, thread: merge.isInThread };
    const pieces = await step("gateway", "merge", facts, async () => merge.finish());
    query.timings.set("scatter", scattered - startedAt);
    query.timings.set("merge", clock.monotonic() - scattered);
    open.throwIfStopped();
    return pieces;
  }

  /** A server-streaming method. Resolves when every shard has vouched for its stream, or was given up. */
  stream(query: PreparedQuery): Promise<AnswerStream> {
    const { plan } = query.resolved;
    assert(plan.merge.kind === "sorted", "streams are merged by their order");
    return new Promise((resolve, reject) => {
      const whole = this.#asStep(query, async (open, ended) => {
        const startedAt = this.#parts.clock.monotonic();
        // Not to its end: a reader may take its time.
        const streams = await admitted(this.admission, this.#parts.clock, open, () => openRowStreams(this.asker, open));
        query.timings.set("scatter", this.#parts.clock.monotonic() - startedAt);
        const rows = mergeSortedRows(plan, streams, query.request);
        const ending = Promise.withResolvers<void>();
        resolve({
          messages: untilStopped(rows, open, ending),
          completeness: () => open.completeness(),
          signal: open.signal,
          close: () => {
            ended();
            ending.reject(new Fault("cancelled", "the stream was closed before its end"));
          },
        });
        await ending.promise;
        open.end();
        return { completeness: open.completeness() };
      });
      whole.catch(reject);
    });
  }

  /** How the query would be answered; no shard is asked. */
  explain(query: PreparedQuery): Explanation {
    return explainQuery(query);
  }

  /** How the query was answered: once its answer is there, or its stream has ended. Undefined: nobody asked for that. */
  profile(query: PreparedQuery): ProfileJson | undefined {
    return query.profile === undefined ? undefined : describeProfile(query, query.profile);
  }

  #open(query: PreparedQuery): OpenQuery {
    return new OpenQuery(query, this.register, this.#pool, this.#parts.clock, this.limits.partialFloor);
  }

  /** Opens the query and runs it as one step. It ends with a fault; what it results in ends it otherwise. */
  #asStep<T extends { readonly completeness: Completeness }>(
    query: PreparedQuery,
    work: (open: OpenQuery, end: () => void, event: StepEvent) => Promise<T>,
  ): Promise<T> {
    return step("gateway", "query", queryFacts(query), async (event) => {
      const open = this.#open(query);
      try {
        const result = await work(open, () => open.end(), event);
        const { complete, shards } = result.completeness;
        event.facts.outcome = complete ? "complete" : "partial";
        event.facts.missing = (shards?.expected ?? 0) - (shards?.answered ?? 0);
        return result;
      } catch (error) {
        const fault = faultFromUnknown(error, "answer query");
        event.facts.outcome = fault.id;
        open.end();
        throw fault;
      }
    });
  }
}

/** Pure: the same for the same request and table, whoever asks. */
function understand(intent: QueryIntent, state: RoutingState): UnderstoodQuery {
  const resolved = resolveQuery(state, intent.target);
  const { plan, version, snapshot } = resolved;
  const request = decodeRequest(plan.method.input, intent.body, version.registry);
  checkRequest(plan, request);
  const excluded = shardPruning(plan, request, [...snapshot.shardSeals.values()]);
  const pruned = new Map(excluded.map(({ shard, reason }) => [shard, reason]));
  const tag = plan.deterministic ? requestTag(resolved, canonicalBytes(plan.method.input, request)) : undefined;
  const asked = state.shards.filter((shard) => !pruned.has(shard));
  return { resolved, request, asked, pruned, tag };
}
