import assert from "node:assert";
import type { DescService } from "@bufbuild/protobuf";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { ReflectionService } from "@grpc/reflection";
import { HealthImplementation } from "grpc-health-check";
import { Fault } from "../../fault/fault.ts";
import { faultFromUnknown } from "../../fault/fault-from-unknown.ts";
import { compileService } from "../../merge-plan/compile-method.ts";
import type { ServiceVersionName } from "../../mesh/service-version.ts";
import { type Clock, type Randomness, sleep } from "../../process/clock.ts";
import { BindingService } from "../../wire/generated/skynetes/v1/binding_pb.ts";
import { addUnaryService, grpcMethod } from "../../wire/grpc-service.ts";
import { Binder } from "../bind/binder.ts";
import { bindingHandlers } from "../bind/binding-handlers.ts";
import { BindingTable } from "../bind/binding-table.ts";
import { loadState } from "../bind/load-state.ts";
import type { ServiceDefinition } from "../define-service.ts";
import { ActiveCalls } from "./active-calls.ts";
import { type CallHost, streamingCall, unaryCall } from "./answer-call.ts";
import { descriptorFiles, descriptorSet } from "./descriptor-set.ts";

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
  /** Told of what handlers throw beyond refusals; writes to stderr when absent. */
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
/** Streams of one connection; a gateway has one connection to a process. */
const STREAMS_MAX = 1024;
/** Of one request: a gateway that settles a top list may ask for 10,000 keys at once, so gRPC's 4 MiB are too few. */
const REQUEST_BYTES_MAX = 64 * 2 ** 20;

/**
 * Serves one service version for any number of shards and snapshots: the author's service, BindingService, health and
 * reflection on one port.
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
  const database = {
    memoryBytes: options.loadMemoryBytes ?? LOAD_MEMORY_BYTES,
    threads: options.loadThreads ?? LOAD_THREADS,
    instance,
    scanDirectory: options.scanDirectory,
  };
  const binder = new Binder<State>({
    table,
    serviceVersion: version,
    memoryLimitBytes: options.memoryLimitBytes,
    load: (files) => loadState(definition, database, files),
  });
  const calls = new ActiveCalls();
  const health = new HealthImplementation({ "": "SERVING", [service.typeName]: "NOT_SERVING" });
  const server = new Server({
    "grpc.max_concurrent_streams": STREAMS_MAX,
    "grpc.max_receive_message_length": REQUEST_BYTES_MAX,
  });
  const host: CallHost<State> = {
    own: { serviceVersion: version, nodes: nodesOf(options.node) },
    table,
    calls,
    clock,
    report: reporter(options.report ?? writeToStderr),
  };
  addAuthorsService(server, definition, host);
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
    const drained = calls.drain();
    const flushed = new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
    const loaded = binder.close();
    await within(clock, options.drainGraceMs ?? DRAIN_GRACE_MS, Promise.all([drained, loaded]));
    calls.cancelAll("the service is closing");
    await within(clock, FLUSH_MS, flushed);
    server.forceShutdown();
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

function addAuthorsService<S extends DescService, State>(
  server: Server,
  definition: ServiceDefinition<S, State>,
  host: CallHost<State>,
): void {
  const handlers = definition.methods as Readonly<Record<string, unknown>>;
  const methods = Object.entries(definition.service.method);
  // What no gateway could merge is refused here, where the author sees it first.
  const plans = compileService(definition.service);
  const grpcDefinition = Object.fromEntries(
    methods.map(([, method]) => [
      method.name,
      // Replies are encoded by the kit, in slices where they are long.
      { ...grpcMethod(method), responseSerialize: asBuffer },
    ]),
  );
  const implementation = Object.fromEntries(
    methods.map(([name, method]) => {
      const handler = handlers[name];
      if (typeof handler !== "function") {
        throw new Fault("invalid-service", `${definition.service.typeName}: no handler "${name}" for ${method.name}`);
      }
      const plan = plans.get(method.name);
      assert(plan !== undefined, `${method.name} has no plan although its service compiled`);
      const answer = method.methodKind === "unary" ? unaryCall : streamingCall;
      return [method.name, answer(host, plan, handler as never)];
    }),
  );
  server.addService(grpcDefinition as never, implementation as never);
}

function asBuffer({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}

function reflection(services: readonly DescService[]): ReflectionService {
  const fileDescriptorProtos = descriptorFiles(services.map((service) => service.file));
  return new ReflectionService({ files: { fileDescriptorProtos } } as never, {
    services: services.map((service) => service.typeName),
  });
}

function listen(server: Server, to: ServeOptions["listen"]): Promise<string> {
  const host = to.host.includes(":") ? `[${to.host}]` : to.host;
  const attempted = `listen on ${host}:${to.port}`;
  return new Promise((resolve, reject) => {
    server.bindAsync(`${host}:${to.port}`, ServerCredentials.createInsecure(), (error, port) => {
      if (error !== null) reject(faultFromUnknown(error, attempted));
      else resolve(`${host}:${port}`);
    });
  });
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
