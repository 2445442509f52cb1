import assert from "node:assert";
import { hostname } from "node:os";
import type { DescService } from "@bufbuild/protobuf";
import { HealthImplementation } from "grpc-health-check";
import { Fault } from "../../fault/fault.ts";
import { faultFromUnknown } from "../../fault/fault-from-unknown.ts";
import { compileService } from "../../merge-plan/compile-method.ts";
import type { ServiceVersionName } from "../../mesh/service-version.ts";
import type { MySqlPool } from "../../mysql/mysql-pool.ts";
import type { MySqlLogin, MySqlServer } from "../../mysql/mysql-server.ts";
import { type Clock, type Randomness, sleep } from "../../process/clock.ts";
import { KnownDigests } from "../../process/known-digests.ts";
import { BindingService } from "../../wire/generated/skynetes/v1/binding_pb.ts";
import { addUnaryService } from "../../wire/grpc-service.ts";
import { Binder } from "../bind/binder.ts";
import { bindingHandlers } from "../bind/binding-handlers.ts";
import { BindingTable } from "../bind/binding-table.ts";
import { loadState } from "../bind/load-state.ts";
import type { Authorize, ServiceDefinition } from "../define-service.ts";
import { ActiveCalls } from "./active-calls.ts";
import type { CallHost } from "./answer-call.ts";
import type { AccessEntry } from "./call-record.ts";
import { CallQueue } from "./converse/call-queue.ts";
import type { ConverseHost } from "./converse/converse-stream.ts";
import { OpenStreams } from "./converse/open-streams.ts";
import { addConverse } from "./converse/serve-converse.ts";
import { UnsentBytes } from "./converse/unsent-bytes.ts";
import { descriptorSet } from "./descriptor-set.ts";
import { addMethods, grpcServer, listen, reflection } from "./grpc-server.ts";
import { type ServedMethod, servedMethod } from "./served-method.ts";

export interface ServeOptions {
  readonly version: ServiceVersionName;
  /** Nodes whose placements this process serves; a call for another is refused. Absent: any. */
  readonly node?: string | readonly string[] | undefined;
  readonly listen: { readonly host: string; readonly port: number };
  /** Bound of what all states together may take. */
  readonly memoryLimitBytes: number;
  readonly clock: Clock;
  readonly randomness: Randomness;
  /** Shards of other meshes are refused; absent: of any. */
  readonly mesh?: string | undefined;
  /** How long calls under way may go on after `close`; 10 s. */
  readonly drainGraceMs?: number;
  /** Of the DuckDB that is there while a shard loads; 256 MiB and 2. */
  readonly loadMemoryBytes?: number;
  readonly loadThreads?: number;
  /** A directory to keep scans in, so that the same snapshot is bound sooner the next time; absent: none. */
  readonly scanDirectory?: string | undefined;
  /** A database server whose views are snapshots, and who may read them; absent: snapshots are read from files. */
  readonly views?: { readonly server: MySqlServer; readonly login: MySqlLogin };
  /** Bound of partials that wait for gateways to take them; 256 MiB. */
  readonly unsentLimitBytes?: number;
  /** What packed streams say the process is: for people. The host's name, which on Kubernetes is the pod's. */
  readonly pod?: string;
  /** Asked for every call besides the definition's own; both must allow it. */
  readonly authorize?: Authorize;
  /** Told of every call once it has ended, refused ones too. */
  readonly accessLog?: (entry: AccessEntry) => void;
  /** Told of what handlers throw beyond refusals, and of what `advance` throws; writes to stderr when absent. */
  readonly report?: (fault: Fault) => void;
}

export interface RunningService {
  /** host:port. */
  readonly address: string;
  /** Another at every start. */
  readonly instance: string;
  /** Drains: refuses new calls, lets those under way finish within the grace, cancels the rest. */
  close(): Promise<void>;
}

const DRAIN_GRACE_MS = 10_000;
/** For the last replies to leave the socket once no handler runs. */
const FLUSH_MS = 1_000;
const LOAD_MEMORY_BYTES = 256 * 2 ** 20;
const LOAD_THREADS = 2;
/** A scan or two of a load at a time; each may read a whole table. */
const VIEWS = { connectionsMax: 4, statementMs: 600_000 };
const UNSENT_LIMIT_BYTES = 256 * 2 ** 20;
/** For gateways to end the streams that they were asked to leave, and for calls on their way to be refused kindly. */
const LEAVE_MS = 500;

/**
 * Serves one service version for any number of shards and snapshots: the author's service, BindingService,
 * packed streams, health and reflection on one port.
 * Faults: `invalid-service` (the definition cannot be served), `internal` (the port cannot be had).
 */
export async function serveService<S extends DescService, State>(
  definition: ServiceDefinition<S, State>,
  options: ServeOptions,
): Promise<RunningService> {
  const { clock, version } = options;
  const service = definition.service;
  const instance = options.randomness.id();
  const table = new BindingTable<State>();
  const views = options.views === undefined ? undefined : await openViews(options.views);
  const tell = options.report ?? writeToStderr;
  const database = {
    views,
    memoryBytes: options.loadMemoryBytes ?? LOAD_MEMORY_BYTES,
    threads: options.loadThreads ?? LOAD_THREADS,
    instance,
    scanDirectory: options.scanDirectory,
    digests: new KnownDigests(),
    report: (error: unknown, attempted: string) => tell(faultFromUnknown(error, attempted)),
  };
  const binder = new Binder<State>({
    table,
    serviceVersion: version,
    memoryLimitBytes: options.memoryLimitBytes,
    load: (files, previous) => loadState(definition, database, files, previous),
  });
  const calls = new ActiveCalls();
  const health = new HealthImplementation({ "": "SERVING", [service.typeName]: "NOT_SERVING" });
  const server = grpcServer();
  const streams = new OpenStreams();
  const methods = methodsOf(definition);
  const host: CallHost<State> = {
    own: { serviceVersion: version, nodes: nodesOf(options.node) },
    table,
    calls,
    clock,
    authorize: [definition.authorize, options.authorize].filter((rule) => rule !== undefined),
    report: reporter(tell),
    accessLog: options.accessLog,
  };
  const atEndOfTurn = (work: () => void) => void setImmediate(work);
  const shared: ConverseHost<State> = {
    host,
    methods,
    pod: options.pod ?? hostname(),
    instance,
    unsent: new UnsentBytes(options.unsentLimitBytes ?? UNSENT_LIMIT_BYTES),
    queue: new CallQueue(clock, atEndOfTurn),
    atEndOfTurn,
  };
  addMethods(server, host, methods);
  addConverse(server, shared, streams);
  addUnaryService(
    server,
    BindingService,
    bindingHandlers({
      binder,
      table,
      service: service.typeName,
      serviceVersion: version,
      descriptors: descriptorSet(service.file),
      instance,
      mesh: options.mesh,
      changed: () => health.setStatus(service.typeName, table.size > 0 ? "SERVING" : "NOT_SERVING"),
    }),
  );
  health.addToServer(server);
  reflection([service, BindingService]).addToServer(server);
  const address = await listen(server, options.listen);

  let closing: Promise<void> | undefined;
  const close = async () => {
    health.setStatus("", "NOT_SERVING");
    health.setStatus(service.typeName, "NOT_SERVING");
    const graceMs = options.drainGraceMs ?? DRAIN_GRACE_MS;
    streams.drain(graceMs);
    const drained = calls.drain();
    const flushed = new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
    const loaded = binder.close();
    await within(clock, graceMs, Promise.all([drained, streams.answered(), loaded]));
    calls.cancelAll("the service is closing");
    await within(clock, LEAVE_MS, streams.left());
    streams.endAll();
    await within(clock, FLUSH_MS, flushed);
    server.forceShutdown();
    await views?.close();
  };
  return {
    address,
    instance,
    close: () => {
      closing ??= close();
      return closing;
    },
  };
}

/** All methods by path. Fault `invalid-service`: one has no handler, or no gateway could merge it. */
function methodsOf<S extends DescService, State>(
  definition: ServiceDefinition<S, State>,
): ReadonlyMap<string, ServedMethod<State>> {
  const { service } = definition;
  const handlers = definition.methods as Readonly<Record<string, unknown>>;
  // What no gateway could merge is refused here, where the author sees it first.
  const plans = compileService(service);
  return new Map(
    Object.entries(service.method).map(([name, method]) => {
      const handler = handlers[name];
      if (typeof handler !== "function") {
        throw new Fault("invalid-service", `${service.typeName}: no handler "${name}" for ${method.name}`);
      }
      const plan = plans.get(method.name);
      assert(plan !== undefined, `${method.name} has no plan although its service compiled`);
      return [`/${service.typeName}/${method.name}`, servedMethod<State>(plan, handler as never)];
    }),
  );
}

async function openViews({ server, login }: NonNullable<ServeOptions["views"]>): Promise<MySqlPool> {
  const { MySqlPool } = await import("../../mysql/mysql-pool.ts");
  return new MySqlPool(server, login, VIEWS);
}

function nodesOf(node: ServeOptions["node"]): ReadonlySet<string> | undefined {
  if (node === undefined) return undefined;
  return new Set(typeof node === "string" ? [node] : node);
}

async function within(clock: Clock, ms: number, work: Promise<unknown>): Promise<void> {
  const given = new AbortController();
  const limit = sleep(clock, ms, given.signal).catch(() => {});
  await Promise.race([work, limit]);
  given.abort();
}

/** Refusals are the caller's to see; what is left are mistakes of a handler, and its author wants the stack. */
function reporter(report: (fault: Fault) => void): CallHost<unknown>["report"] {
  return (error, attempted) => {
    const fault = faultFromUnknown(error, attempted);
    if (fault.id === "internal" || fault.id === "bad-partial") report(fault);
  };
}

function writeToStderr(fault: Fault): void {
  const stack = fault.cause instanceof Error ? fault.cause.stack : fault.stack;
  process.stderr.write(`${JSON.stringify({ level: "error", message: fault.message, stack })}\n`);
}
