import type { Socket } from "node:net";
import { type DescFile, toBinary } from "@bufbuild/protobuf";
import { Metadata, Server, ServerCredentials } from "@grpc/grpc-js";
import { HealthImplementation } from "grpc-health-check";
import { Fault } from "../../fault/fault.ts";
import { faultFromUnknown } from "../../fault/fault-from-unknown.ts";
import {
  AT_LEAST_HEADER,
  COMPLETENESS_BIN_HEADER,
  COMPLETENESS_HEADER,
  ROUTE_HEADERS,
} from "../../mesh/route-headers.ts";
import { LATEST } from "../../mesh/snapshot-id.ts";
import type { Clock } from "../../process/clock.ts";
import { parseTraceparent } from "../../telemetry/trace-context.ts";
import { statusFromFault } from "../../wire/fault-status.ts";
import { GatewayService } from "../../wire/generated/skynetes/v1/gateway_pb.ts";
import type { Completeness } from "../../wire/generated/skynetes/v1/stamp_pb.ts";
import { resetCall } from "../../wire/reset-call.ts";
import type { Gateway } from "../gateway.ts";
import type { PreparedQuery } from "../query/prepared-query.ts";
import { parseCacheWish } from "../receive/cache-wish.ts";
import { parseQuality } from "../receive/completeness-wish.ts";
import { HEALTH_SERVICE, healthFile } from "../receive/grpc/health-file.ts";
import { type RawMethod, type RawStreamCall, rawMethods } from "../receive/grpc/raw-service.ts";
import { addReflection, type ReflectionIndex, reflectionIndex } from "../receive/grpc/reflection-service.ts";
import { parseAtLeast, parseQueryId } from "../receive/request-controls.ts";
import { completenessHeader } from "../reply/answer-completeness.ts";
import { CACHE_STATUS_HEADER, cacheStatus } from "../reply/cache-status.ts";
import { drained, type ReaderPace, taken } from "../reply/reader-pace.ts";
import { ageHeader, QUERY_ID_HEADER, routeHeaders } from "../reply/reply-headers.ts";
import type { RoutingState } from "../table/routing-state.ts";
import type { WholeGateway } from "../whole-gateway.ts";
import { addGatewayService } from "./gateway-service.ts";
import { turnAwayGrpc } from "./turn-away.ts";

/** A reader that was given up may so long take what is on its way, and its status. */
const RESET_AFTER_MS = 1_000;

/** Shown by reflection whatever is bound. */
const OWN_FILES: readonly DescFile[] = [GatewayService.file, healthFile()];
const OWN_SERVICES: readonly string[] = [GatewayService.typeName, HEALTH_SERVICE];

/**
 * The bound services under their own names: a client's generated stub gets the global answer in the message it knows.
 * Services come and go with the route table; everything else is the same engine as HTTP's.
 */
export class GrpcDoor {
  readonly server: Server;
  readonly #gateway: Gateway;
  readonly #clock: Clock;
  readonly #health = new HealthImplementation({ "": "NOT_SERVING" });
  #methods = new Map<string, RawMethod>();
  #services = new Set<string>();
  #reflection: ReflectionIndex;

  constructor(gateway: Gateway, clock: Clock, whole: WholeGateway) {
    this.#gateway = gateway;
    this.#clock = clock;
    this.server = new Server({
      "grpc.max_receive_message_length": gateway.limits.bodyBytesMax,
      // Answers may be large: they are bounded where they are made.
      "grpc.max_send_message_length": -1,
      "grpc.max_concurrent_streams": gateway.limits.queriesMax + gateway.limits.queueMax,
      // Clients that hold a connection for ever never see a gateway that was added beside this one.
      "grpc.max_connection_age_ms": 30 * 60_000,
      "grpc.max_connection_age_grace_ms": gateway.limits.deadlineMaxMs,
    });
    this.#reflection = reflectionIndex(OWN_FILES, OWN_SERVICES);
    addGatewayService(this.server, gateway, whole);
    addReflection(this.server, () => this.#reflection);
    this.#health.addToServer(this.server);
  }

  /** Called in the turn in which the table is swapped. */
  show(state: RoutingState): void {
    const surface = [...state.surface.values()];
    const methods = rawMethods(surface.map((version) => version.desc));
    for (const [path, known] of this.#methods) {
      if (methods.get(path)?.streaming !== known.streaming) this.server.unregister(path);
      else methods.set(path, known);
    }
    for (const [path, method] of methods) if (this.#methods.get(path) !== method) this.#register(method);
    this.#methods = methods;

    const names = new Set(surface.map((version) => version.service));
    for (const name of this.#services) if (!names.has(name)) this.#health.setStatus(name, "NOT_SERVING");
    for (const name of names) this.#health.setStatus(name, "SERVING");
    this.#health.setStatus("", "SERVING");
    this.#services = names;
    const files: DescFile[] = [...OWN_FILES, ...surface.map((version) => version.desc.file)];
    this.#reflection = reflectionIndex(files, [...OWN_SERVICES, ...names]);
  }

  listen(host: string, port: number): Promise<number> {
    return new Promise((resolve, reject) => {
      this.server.bindAsync(`${host}:${port}`, ServerCredentials.createInsecure(), (error, bound) => {
        if (error === null) resolve(bound);
        else reject(error);
      });
    });
  }

  /** For connections that somebody else has accepted. */
  takeConnections(): (socket: Socket) => void {
    const injector = this.server.createConnectionInjector(ServerCredentials.createInsecure());
    return (socket) => injector.injectConnection(socket);
  }

  /** No new connections; health says so to balancers. */
  drain(): void {
    for (const name of ["", ...this.#services]) this.#health.setStatus(name, "NOT_SERVING");
  }

  /** Resolves when every call has ended. */
  close(): Promise<void> {
    return new Promise((done) => this.server.tryShutdown(() => done()));
  }

  #register(method: RawMethod): void {
    const { path, definition } = method;
    const [, service = "", name = ""] = path.split("/");
    const handler = (call: RawStreamCall) =>
      void (method.streaming ? this.#stream(call, service, name) : this.#answer(call, service, name));
    this.server.register(
      path,
      handler as never,
      definition.responseSerialize,
      definition.requestDeserialize as never,
      // Alike on the wire; of a unary call grpc-js does not tell whether its reply was taken.
      "serverStream",
    );
  }

  async #answer(call: RawStreamCall, service: string, method: string): Promise<void> {
    call.on("error", () => undefined);
    let stop = () => {};
    try {
      turnAwayGrpc(this.#gateway.admission);
      const query = this.#prepare(call, service, method);
      const answer = await this.#gateway.answer(query);
      stop = () => answer.close();
      const bytes = Buffer.concat(answer.pieces);
      answer.hold(bytes.length);
      call.sendMetadata(metadataOf({ ...routeHeaders(query), ...ageHeader(query, this.#clock.now()) }));
      await this.#paced(call, answer.signal, (pace) => taken(call, bytes, pace));
      const trailers = trailersOf(answer.completeness);
      trailers.set(CACHE_STATUS_HEADER, cacheStatus(answer.outcome));
      call.end(trailers);
    } catch (error) {
      call.emit("error", statusFromFault(faultFromUnknown(error, `${service}/${method}`)));
    } finally {
      stop();
    }
  }

  async #paced(call: RawStreamCall, signal: AbortSignal, wait: (pace: ReaderPace) => Promise<void>): Promise<void> {
    try {
      await wait({ clock: this.#clock, stalledMs: this.#gateway.limits.stalledReaderMs, signal });
    } catch (error) {
      // The status waits behind what is not taken: whoever still reads gets it, and nobody else is waited for.
      this.#clock.after(RESET_AFTER_MS, () => resetCall(call));
      throw error;
    }
  }

  async #stream(call: RawStreamCall, service: string, method: string): Promise<void> {
    // A client that goes away is told to the query by `cancelled`; the error event of its stream has nobody else.
    call.on("error", () => undefined);
    let stop = () => {};
    try {
      turnAwayGrpc(this.#gateway.admission);
      const query = this.#prepare(call, service, method);
      const stream = await this.#gateway.stream(query);
      stop = () => stream.close();
      call.sendMetadata(metadataOf({ ...routeHeaders(query), ...ageHeader(query, this.#clock.now()) }));
      const output = query.resolved.plan.method.output;
      for await (const row of stream.messages) {
        if (!call.write(asBuffer(toBinary(output, row)))) {
          await this.#paced(call, stream.signal, (pace) => drained(call, pace));
        }
      }
      call.end(trailersOf(stream.completeness()));
    } catch (error) {
      call.emit("error", statusFromFault(faultFromUnknown(error, `${service}/${method}`)));
    } finally {
      stop();
    }
  }

  #prepare(call: RawStreamCall, service: string, method: string): PreparedQuery {
    const gone = new AbortController();
    call.on("cancelled", () => gone.abort(new Fault("cancelled", "the client went away")));
    const header = (name: string) => {
      const values = call.metadata.get(name);
      const value = values[0]?.toString();
      // Two values are two wishes, and no rule says which one counts. HTTP/2 joins them with a comma, which none of these
      // values has.
      if (values.length <= 1 && !value?.includes(",")) return value;
      throw new Fault("invalid-request", `read metadata: ${name} is there more than once`);
    };
    const deadline = call.getDeadline();
    const deadlineMs = deadline instanceof Date ? deadline.getTime() : deadline;
    return this.#gateway.prepare({
      target: { snapshot: header(ROUTE_HEADERS.snapshot) ?? LATEST, service, method },
      body: { kind: "binary", bytes: call.request },
      quality: parseQuality(header(COMPLETENESS_HEADER)),
      timeoutMs: Number.isFinite(deadlineMs) ? deadlineMs - this.#clock.now() : undefined,
      queryId: parseQueryId(header(QUERY_ID_HEADER)),
      atLeast: parseAtLeast(header(AT_LEAST_HEADER)),
      traceparent: parseTraceparent(call.metadata.get("traceparent")[0]?.toString()),
      cache: parseCacheWish(call.metadata.get("cache-control").join(",") || undefined),
      signal: gone.signal,
    });
  }
}

function metadataOf(headers: Record<string, string>): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
  return metadata;
}

function trailersOf(completeness: Completeness): Metadata {
  const metadata = new Metadata();
  metadata.set(COMPLETENESS_BIN_HEADER, Buffer.from(completenessHeader(completeness)));
  return metadata;
}

function asBuffer({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}
