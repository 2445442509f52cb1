import { fromBinary } from "@bufbuild/protobuf";
import { type CallOptions, type ClientReadableStream, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { Fault } from "../../fault/fault.ts";
import { faultFromUnknown } from "../../fault/fault-from-unknown.ts";
import { BOUNDS_HEADER, PARTIAL_FORMAT_HEADER, ROUTE_HEADERS, STAMP_HEADER } from "../../mesh/route-headers.ts";
import type { Stamp } from "../../mesh/stamp.ts";
import type { Clock } from "../../process/clock.ts";
import { PartialFormat } from "../../wire/generated/skynetes/v1/shard_pb.ts";
import { StampSchema } from "../../wire/generated/skynetes/v1/stamp_pb.ts";
import { ShardChannels } from "./shard-channels.ts";
import { attempted, shardFault } from "./shard-fault.ts";
import type { Greeting, ShardCall, ShardReply, ShardStream, ShardTransport } from "./shard-transport.ts";

/** The value of `PARTIAL_FORMAT_HEADER`. */
const COLUMNS = "columns";

const asIs = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const alsoAsIs = (bytes: Buffer) => bytes;

/** One HTTP/2 connection for each address; messages pass through as bytes. */
export class GrpcShardTransport implements ShardTransport {
  readonly #clock: Clock;
  readonly #channels: ShardChannels;

  constructor(clock: Clock, partialBytesMax: number) {
    this.#clock = clock;
    this.#channels = new ShardChannels({
      // A pod that is gone without a word (no FIN) is noticed within seconds. Packed streams have heartbeats for it, and
      // some servers close a connection for PINGs while a stream is open.
      "grpc.keepalive_time_ms": 10_000,
      "grpc.keepalive_timeout_ms": 5_000,
      "grpc.max_receive_message_length": partialBytesMax,
      "grpc.max_send_message_length": partialBytesMax,
    });
  }

  unary(call: ShardCall, signal: AbortSignal): Promise<ShardReply> {
    return this.#channels.use(call.address, (client) => {
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
              reject(signal.aborted ? faultFromUnknown(signal.reason, attempted(call)) : shardFault(error, call));
            }
            message = bytes;
          },
        );
        const cancel = () => under.cancel();
        call.under = { cancelled: cancel };
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
          else {
            const isOwn = message.length > 0 && message.length === message.buffer.byteLength;
            const format = formatOf(end.metadata);
            resolve({ stamp, message, isOwn, bounds: asBytes(bounds), format, transport: "unary" });
          }
        });
      });
    });
  }

  stream(call: ShardCall, signal: AbortSignal): Promise<ShardStream> {
    return new Promise((resolve, reject) => {
      // The connection counts as used until the stream has ended, not only until it is open.
      const ended = this.#channels.use(call.address, (client) => {
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
        call.under = { cancelled: cancel };
        signal.addEventListener("abort", cancel, { once: true });
        const asFault = (error: unknown) => {
          if (error instanceof Fault) return error;
          return signal.aborted
            ? faultFromUnknown(signal.reason, attempted(call))
            : shardFault(error as ServiceError, call);
        };
        const end = new Promise<Fault | undefined>((tell) => {
          under.on("error", (error) => tell(asFault(error)));
          under.on("status", (s) => {
            signal.removeEventListener("abort", cancel);
            if (s.code === status.OK) tell(undefined);
          });
        });
        under.once("metadata", (metadata: Metadata) => {
          resolve({ stamp: stampOf(metadata), transport: "unary", messages: messagesOf(under, end, asFault) });
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

  greet(): Promise<Greeting | undefined> {
    return Promise.resolve(undefined);
  }

  keep(addresses: ReadonlySet<string>): void {
    this.#channels.keep(addresses);
  }

  close(): void {
    this.#channels.close();
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

function formatOf(metadata: Metadata): PartialFormat {
  const isColumns = metadata.get(PARTIAL_FORMAT_HEADER)[0] === COLUMNS;
  return isColumns ? PartialFormat.COLUMNS : PartialFormat.UNSPECIFIED;
}

function asBytes(value: string | Buffer | undefined): Buffer | undefined {
  return value instanceof Buffer ? value : undefined;
}

function metadataOf(call: ShardCall): Metadata {
  const metadata = new Metadata();
  metadata.set(ROUTE_HEADERS.version, call.version);
  metadata.set(ROUTE_HEADERS.placement, call.node);
  metadata.set(ROUTE_HEADERS.shard, String(call.shard));
  metadata.set(ROUTE_HEADERS.snapshot, call.snapshot);
  if (call.accept === PartialFormat.COLUMNS) metadata.set(PARTIAL_FORMAT_HEADER, COLUMNS);
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
