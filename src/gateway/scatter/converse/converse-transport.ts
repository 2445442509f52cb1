import { Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { Fault } from "../../../fault/fault.ts";
import { faultFromUnknown } from "../../../fault/fault-from-unknown.ts";
import type { Clock, Randomness } from "../../../process/clock.ts";
import { CallFrameWriter } from "../../../wire/converse/call-frame.ts";
import { FRAME_BYTES_MAX, REQUEST_BYTES_MAX } from "../../../wire/converse/limits.ts";
import { ShardChannels } from "../shard-channels.ts";
import { attempted } from "../shard-fault.ts";
import type { Greeting, ShardCall, ShardReply, ShardStream, ShardTransport, ShardWay } from "../shard-transport.ts";
import { ConversePod } from "./converse-pod.ts";
import { type FramePipe, type OpenPipe, openGrpcPipe } from "./frame-pipe.ts";
import { greet } from "./greet.ts";
import { MessageCall } from "./message-call.ts";
import { SignalFollowers } from "./signal-followers.ts";
import type { CallTerms, StreamCall } from "./stream-call.ts";
import { StreamCounts } from "./stream-counts.ts";
import { type SlotParts, StreamSlot } from "./stream-slot.ts";
import { TurnEnd } from "./turn-end.ts";
import { UnaryCall } from "./unary-call.ts";

/** One call of so many goes by unary gRPC: what a mesh would say of a call today, a stream opened before does not hear. */
const SENTINEL_EVERY = 1_000;
/** Of a stream and of its connection: a large partial then does not wait for a round trip every 64 KiB. */
const WINDOW_BYTES = 4 * 1024 * 1024;

/** Stands for one that could not be opened, until the stream has heard of it. */
const NO_PIPE: FramePipe = { write: () => true, end() {}, cancel() {} };

export interface ConverseParts {
  readonly clock: Clock;
  readonly randomness: Randomness;
  /** For whatever does not go by stream. */
  readonly unary: ShardTransport;
  readonly partialBytesMax: number;
}

/** Calls packed on one stream for each pod, where the service speaks Converse; by unary gRPC otherwise. */
export class ConverseTransport implements ShardTransport {
  readonly counts = new StreamCounts();
  readonly #parts: ConverseParts;
  /** By address: few pods have the same one, unless a mesh routes by header, and then few are asked. */
  readonly #pods = new Map<string, ConversePod[]>();
  /** No longer wanted, with calls under way perhaps. */
  readonly #leaving = new Set<ConversePod>();
  readonly #channels: Readonly<Record<SlotParts["kind"], ShardChannels>>;
  readonly #followers = new SignalFollowers();
  readonly #turnEnd = new TurnEnd();
  readonly #writer = new CallFrameWriter();

  constructor(parts: ConverseParts) {
    this.#parts = parts;
    const options = {
      "grpc.max_receive_message_length": FRAME_BYTES_MAX,
      "grpc-node.flow_control_window": WINDOW_BYTES,
      // Bulk streams and others of one address share no connection.
      "grpc.use_local_subchannel_pool": 1,
    };
    this.#channels = { stream: new ShardChannels(options), bulk: new ShardChannels(options) };
  }

  unary(call: ShardCall, signal: AbortSignal): Promise<ShardReply> {
    if (!call.converse || call.request.length > REQUEST_BYTES_MAX) return this.#parts.unary.unary(call, signal);
    const pod = this.#podOf(call);
    if (pod.isUnaryOnly) return this.#byUnary(pod, call, signal);
    if (++pod.calls % SENTINEL_EVERY === 0) return this.#sentinel(call, signal);
    const now = this.#parts.clock.monotonic();
    const under = new UnaryCall(this.#terms(call, signal, now), pod);
    call.under = under;
    const slot = pod.isLarge(call.path, now) ? pod.bulk : pod.main;
    this.#send(slot, under);
    return under.reply;
  }

  stream(call: ShardCall, signal: AbortSignal): Promise<ShardStream> {
    if (!call.converse || call.request.length > REQUEST_BYTES_MAX) return this.#parts.unary.stream(call, signal);
    const pod = this.#podOf(call);
    if (pod.isUnaryOnly) return this.#parts.unary.stream(call, signal);
    const under = new MessageCall(this.#terms(call, signal, this.#parts.clock.monotonic()));
    call.under = under;
    this.#send(pod.bulk, under);
    return under.opened;
  }

  async greet(way: ShardWay, timeoutMs: number, signal: AbortSignal): Promise<Greeting | undefined> {
    if (!way.converse) return undefined;
    return greet(this.#podOf(way).main, this.#parts.clock, timeoutMs, signal);
  }

  keep(addresses: ReadonlySet<string>): void {
    this.#parts.unary.keep(addresses);
    for (const channels of Object.values(this.#channels)) channels.keep(addresses);
    for (const [address, pods] of this.#pods) {
      // Behind an address that stays, versions come and go: those without a stream are forgotten, and what was known of them.
      const kept = addresses.has(address) ? pods.filter((pod) => !pod.isEmpty) : [];
      if (kept.length > 0) this.#pods.set(address, kept);
      else this.#pods.delete(address);
      for (const pod of pods) {
        if (kept.includes(pod)) continue;
        this.#leaving.add(pod);
        pod.retire();
      }
    }
    for (const pod of this.#leaving) if (pod.isEmpty) this.#leaving.delete(pod);
  }

  close(): void {
    const pods = [...this.#pods.values()].flat();
    for (const pod of [...pods, ...this.#leaving]) pod.lose("closed", "the gateway closes");
    this.#pods.clear();
    this.#leaving.clear();
    for (const channels of Object.values(this.#channels)) channels.close();
    this.#parts.unary.close();
  }

  #terms(call: ShardCall, signal: AbortSignal, now: number): CallTerms {
    return { call, signal, deadline: now + call.timeoutMs, partialBytesMax: this.#parts.partialBytesMax };
  }

  #send(slot: StreamSlot, call: StreamCall): void {
    const { signal } = call.terms;
    if (signal.aborted) {
      call.cancelled(signal.reason);
      return;
    }
    call.group = this.#followers.follow(signal, call);
    slot.send(call);
  }

  /** Of a denial other calls must hear: the policy is newer than the streams. */
  async #sentinel(call: ShardCall, signal: AbortSignal): Promise<ShardReply> {
    try {
      return await this.#parts.unary.unary(call, signal);
    } catch (error) {
      const reason = faultFromUnknown(error, attempted(call)).detail.reason;
      if (reason === "PERMISSION_DENIED" || reason === "UNAUTHENTICATED") {
        this.counts.sentinelsDenied++;
        for (const pod of this.#pods.get(call.address) ?? [])
          pod.lose("denied", `a call beside the stream met ${reason}`);
      }
      throw error;
    }
  }

  /** A connection that broke may lead to another process when it is there again. */
  async #byUnary(pod: ConversePod, call: ShardCall, signal: AbortSignal): Promise<ShardReply> {
    try {
      return await this.#parts.unary.unary(call, signal);
    } catch (error) {
      if (error instanceof Fault && error.id === "shard-unavailable") pod.isUnaryOnly = false;
      throw error;
    }
  }

  #podOf(way: ShardWay): ConversePod {
    const there = this.#pods.get(way.address);
    const known = there?.find((pod) => pod.way.version === way.version && pod.way.node === way.node);
    if (known !== undefined) return known;
    const { address, node, version } = way;
    const pod: ConversePod = new ConversePod(this.#parts.clock, { address, node, version, converse: true }, (kind) =>
      this.#slot(way, kind, () => pod),
    );
    if (there === undefined) this.#pods.set(address, [pod]);
    else there.push(pod);
    return pod;
  }

  #slot(way: ShardWay, kind: SlotParts["kind"], pod: () => ConversePod): StreamSlot {
    const { clock, randomness, unary } = this.#parts;
    return new StreamSlot({
      clock,
      randomness,
      turnEnd: this.#turnEnd,
      writer: this.#writer,
      counts: this.counts,
      kind,
      open: (anew) => this.#pipe(way, kind, anew),
      unspoken: (calls) => {
        pod().isUnaryOnly = true;
        for (const call of calls) call.moveTo(unary, clock.monotonic());
      },
      isUnwanted: () => this.#channels[kind].isRemoved(way.address),
    });
  }

  #pipe(way: ShardWay, kind: SlotParts["kind"], anew: boolean): OpenPipe {
    const channels = this.#channels[kind];
    if (anew) channels.replace(way.address);
    return (listener) => {
      const ended = Promise.withResolvers<void>();
      let pipe: FramePipe | undefined;
      const gone: typeof listener.gone = (error) => {
        ended.resolve();
        listener.gone(error);
      };
      const used = channels.use(way.address, (client) => {
        const heard = { frame: (bytes: Buffer) => listener.frame(bytes), room: () => listener.room(), gone };
        pipe = openGrpcPipe(client, way, kind === "bulk", heard);
        return ended.promise;
      });
      // Heard when the stream is there that it is told to.
      used.catch((error: unknown) => gone(unopened(error)));
      return pipe ?? NO_PIPE;
    };
  }
}

/** As if the peer had refused the stream. */
function unopened(error: unknown): ServiceError {
  const { message: details } = faultFromUnknown(error, "open a stream");
  return Object.assign(new Error(details), { code: status.INTERNAL, details, metadata: new Metadata() });
}
