import { fromBinary } from "@bufbuild/protobuf";
import {
  type CallOptions,
  type ChannelOptions,
  Client,
  type ClientReadableStream,
  credentials,
  Metadata,
  type ServiceError,
  status,
} from "@grpc/grpc-js";
import { Fault } from "../../fault/fault.ts";
import type { FaultId } from "../../fault/fault-catalog.ts";
import { faultFromUnknown } from "../../fault/fault-from-unknown.ts";
import { BOUNDS_HEADER, ROUTE_HEADERS, STAMP_HEADER } from "../../mesh/route-headers.ts";
import type { Stamp } from "../../mesh/stamp.ts";
import type { Clock } from "../../process/clock.ts";
import { faultFromStatus } from "../../wire/fault-status.ts";
import { StampSchema } from "../../wire/generated/skynetes/v1/stamp_pb.ts";
import type { ShardCall, ShardReply, ShardStream, ShardTransport } from "./shard-transport.ts";

const asIs = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const alsoAsIs = (bytes: Buffer) => bytes;

/** Queries outlive their table by their deadline at most, so older removals matter no more. */
const REMOVED_MAX = 1_000;

interface Connection {
  readonly client: Client;
  inFlight: number;
  unwanted: boolean;
}

/** One HTTP/2 connection for each address; messages pass through as bytes. */
export class GrpcShardTransport implements ShardTransport {
  readonly #clock: Clock;
  readonly #options: ChannelOptions;
  readonly #connections = new Map<string, Connection>();
  #kept: ReadonlySet<string> = new Set();
  /** Addresses that were kept once, newest last. Others are new: a table that names them is about to be applied. */
  readonly #removed = new Set<string>();

  constructor(clock: Clock, partialBytesMax: number) {
    this.#clock = clock;
    this.#options = {
      "grpc.max_receive_message_length": partialBytesMax,
      "grpc.max_send_message_length": partialBytesMax,
      // A pod that is gone without a word (no FIN) is noticed within seconds, also while nothing is asked.
      "grpc.keepalive_time_ms": 10_000,
      "grpc.keepalive_timeout_ms": 5_000,
      // A service process that restarts is found again at once; grpc-js would wait up to two minutes.
      "grpc.initial_reconnect_backoff_ms": 50,
      "grpc.min_reconnect_backoff_ms": 50,
      "grpc.max_reconnect_backoff_ms": 500,
      // Retries are the scatter step's, which knows the stamp and the deadline.
      "grpc.enable_retries": 0,
      "grpc.service_config_disable_resolution": 1,
    };
  }

  unary(call: ShardCall, signal: AbortSignal): Promise<ShardReply> {
    return this.#onConnection(call.address, (client) => {
      return new Promise<ShardReply>((resolve, reject) => {
        if (signal.aborted) return reject(faultFromUnknown(signal.reason, attempted(call)));
        let stamp: Stamp | undefined;
        let message: Uint8Array | undefined;
        const under = client.makeUnaryRequest(
          call.path,
          asIs,
          alsoAsIs,
          call.request,
          metadataOf(call),
          this.#callOptions(call),
          (error: ServiceError | null, bytes?: Buffer) => {
            if (error !== null) {
              signal.removeEventListener("abort", cancel);
              reject(signal.aborted ? faultFromUnknown(signal.reason, attempted(call)) : faultOf(error, call));
            }
            message = bytes;
          },
        );
        const cancel = () => under.cancel();
        signal.addEventListener("abort", cancel, { once: true });
        under.on("metadata", (metadata: Metadata) => {
          stamp = stampOf(metadata);
        });
        // grpc-js tells the status after it has called back with the message; the bounds come with it.
        under.on("status", (end) => {
          signal.removeEventListener("abort", cancel);
          if (end.code !== status.OK) return;
          const bounds = end.metadata.get(BOUNDS_HEADER)[0];
          if (message === undefined) reject(new Fault("bad-partial", `${attempted(call)}: an end without a message`));
          else resolve({ stamp, message, bounds: bounds instanceof Buffer ? bounds : undefined });
        });
      });
    });
  }

  stream(call: ShardCall, signal: AbortSignal): Promise<ShardStream> {
    return new Promise((resolve, reject) => {
      // The connection counts as used until the stream has ended, not only until it is open.
      const ended = this.#onConnection(call.address, (client) => {
        if (signal.aborted) throw faultFromUnknown(signal.reason, attempted(call));
        const under = client.makeServerStreamRequest(
          call.path,
          asIs,
          alsoAsIs,
          call.request,
          metadataOf(call),
          this.#callOptions(call),
        );
        // Until it is asked to read, grpc-js takes everything off the wire and keeps it: a shard that vouched early would
        // be held in memory whole while others have not. Asked once, it keeps a few messages and then holds the shard back.
        under.read(0);
        const cancel = () => under.cancel();
        signal.addEventListener("abort", cancel, { once: true });
        const asFault = (error: unknown) => {
          if (error instanceof Fault) return error;
          return signal.aborted
            ? faultFromUnknown(signal.reason, attempted(call))
            : faultOf(error as ServiceError, call);
        };
        const end = new Promise<Fault | undefined>((tell) => {
          under.on("error", (error) => tell(asFault(error)));
          under.on("status", (s) => {
            signal.removeEventListener("abort", cancel);
            if (s.code === status.OK) tell(undefined);
          });
        });
        under.once("metadata", (metadata: Metadata) => {
          resolve({ stamp: stampOf(metadata), messages: messagesOf(under, end, asFault) });
        });
        return end.then((fault) => {
          if (fault !== undefined) reject(fault);
          // An end without metadata is a reply without a stamp: an empty one that nobody vouches for.
          else resolve({ stamp: undefined, messages: messagesOf(under, end, asFault) });
        });
      });
      ended.catch(reject);
    });
  }

  keep(addresses: ReadonlySet<string>): void {
    for (const address of this.#kept) if (!addresses.has(address)) this.#removed.add(address);
    for (const address of addresses) this.#removed.delete(address);
    for (const address of this.#removed) {
      if (this.#removed.size <= REMOVED_MAX) break;
      this.#removed.delete(address);
    }
    this.#kept = addresses;
    for (const [address, connection] of this.#connections) {
      connection.unwanted = !addresses.has(address);
      this.#closeWhenIdle(address, connection);
    }
  }

  close(): void {
    for (const connection of this.#connections.values()) connection.client.close();
    this.#connections.clear();
  }

  async #onConnection<T>(address: string, use: (client: Client) => Promise<T>): Promise<T> {
    let connection = this.#connections.get(address);
    if (connection === undefined) {
      const client = new Client(address, credentials.createInsecure(), this.#options);
      // A query may be pinned to a table that still had the address: its connection ends with it.
      connection = { client, inFlight: 0, unwanted: this.#removed.has(address) };
      this.#connections.set(address, connection);
    }
    connection.inFlight++;
    try {
      return await use(connection.client);
    } finally {
      connection.inFlight--;
      this.#closeWhenIdle(address, connection);
    }
  }

  #closeWhenIdle(address: string, connection: Connection): void {
    if (!connection.unwanted || connection.inFlight > 0) return;
    connection.client.close();
    if (this.#connections.get(address) === connection) this.#connections.delete(address);
  }

  #callOptions(call: ShardCall): CallOptions {
    return { deadline: this.#clock.now() + Math.max(1, call.timeoutMs) };
  }
}

/**
 * Reads with back-pressure: grpc-js reads ahead no more than its stream's high-water mark of messages.
 *
 * grpc-js ends the readable and *emits* the error: a reader that comes later sees a clean end. So the end of the stream
 * is believed only when its status says so, or a dead shard would look like one with fewer rows.
 */
async function* messagesOf(
  under: ClientReadableStream<Buffer>,
  end: Promise<Fault | undefined>,
  asFault: (error: unknown) => Fault,
): AsyncGenerator<Uint8Array> {
  let finished = false;
  try {
    for await (const bytes of under) yield bytes as Buffer;
    finished = true;
    const fault = await end;
    if (fault !== undefined) throw fault;
  } catch (error) {
    finished = true;
    throw asFault(error);
  } finally {
    if (!finished) under.cancel();
  }
}

function metadataOf(call: ShardCall): Metadata {
  const metadata = new Metadata();
  metadata.set(ROUTE_HEADERS.version, call.version);
  metadata.set(ROUTE_HEADERS.placement, call.node);
  metadata.set(ROUTE_HEADERS.shard, String(call.shard));
  metadata.set(ROUTE_HEADERS.snapshot, call.snapshot);
  if (call.traceparent !== undefined) metadata.set("traceparent", call.traceparent);
  return metadata;
}

function stampOf(metadata: Metadata): Stamp | undefined {
  const values = metadata.get(STAMP_HEADER);
  const bytes = values[0];
  // Two stamps are as good as none: it is not known which of them the message belongs to.
  if (values.length !== 1 || !(bytes instanceof Buffer)) return undefined;
  try {
    const { shard, snapshot, stateDigest, serviceVersion } = fromBinary(StampSchema, bytes);
    return { shard, snapshot, stateDigest, serviceVersion };
  } catch {
    return undefined;
  }
}

function faultOf(error: ServiceError, call: ShardCall): Fault {
  const what = attempted(call);
  // grpc-js's own refusal; a peer's RESOURCE_EXHAUSTED means that it has too much to do.
  if (error.code === status.RESOURCE_EXHAUSTED && error.details?.includes("larger than max")) {
    return new Fault("answer-too-large", `${what}: ${error.details}`, { shard: call.shard }, error);
  }
  // A process without this service is not the one that was meant.
  const isElsewhere = error.code === status.UNIMPLEMENTED;
  const fault = faultFromStatus(error, what);
  const id = isElsewhere ? "stamp-mismatch" : meaningHere(fault.id);
  if (id === fault.id) return new Fault(id, fault.message, { ...fault.detail, shard: call.shard }, error);
  return new Fault(id, `${what}: ${error.details}`, { shard: call.shard }, error);
}

/**
 * What a shard's refusal means to the gateway, which has itself read the request, resolved the names and written the
 * route headers. Whatever a shard says against *these* is about the way to it: another replica may be right, and the
 * client is not to blame. The same for a call that the peer cancelled while nobody here did: it is draining.
 */
function meaningHere(id: FaultId): FaultId {
  switch (id) {
    // About the request's values, or its answer: any replica would say the same.
    case "invalid-request":
    case "request-too-large":
    case "overflow":
    case "answer-too-large":
      return id;
    // The call reached somebody else.
    case "unknown-version":
    case "wrong-placement":
      return "stamp-mismatch";
    case "malformed-request":
    case "unknown-path":
    case "unknown-service":
    case "unknown-method":
    case "unknown-snapshot":
    case "snapshot-retired":
    case "cancelled":
      return "shard-unavailable";
    case "shard-unavailable":
    case "snapshot-not-bound":
    case "stamp-mismatch":
    case "deadline-exceeded":
    case "bad-partial":
    case "overloaded":
    case "not-ready":
    case "out-of-memory":
    case "data-corrupt":
      return id;
    default:
      // What went wrong inside a shard is that shard's failure; `internal` is this process's own word.
      return "shard-failed";
  }
}

function attempted(call: ShardCall): string {
  return `ask shard ${call.shard} on ${call.node}`;
}
