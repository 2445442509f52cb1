import type { Stamp } from "../../mesh/stamp.ts";
import type { PartialFormat } from "../../wire/generated/skynetes/v1/shard_pb.ts";

/**
 * How a shard is reached: by unary gRPC (`GrpcShardTransport`) or packed on a stream (`ConverseTransport`), with the
 * same answers and faults. Narrow on purpose: it moves bytes and says who answered; whether that was right is decided
 * above it.
 */
export interface ShardTransport {
  /** Resolves when the whole reply is there. Faults as `ShardReply` says, or as the peer sent them. */
  unary(call: ShardCall, signal: AbortSignal): Promise<ShardReply>;
  /** Resolves when the stamp is there, before any message. */
  stream(call: ShardCall, signal: AbortSignal): Promise<ShardStream>;
  /** Goes the way that calls would go, anew, and tells who is there. Undefined: calls go by unary gRPC. */
  greet(way: ShardWay, timeoutMs: number, signal: AbortSignal): Promise<Greeting | undefined>;
  /** Connections to other addresses are closed when the calls on them have ended. */
  keep(addresses: ReadonlySet<string>): void;
  close(): void;
}

/** To one process: what is routed on. */
export interface ShardWay {
  /** host:port. */
  readonly address: string;
  /** Node of the placement. */
  readonly node: string;
  readonly version: string;
  /** The version speaks ShardService.Converse. */
  readonly converse: boolean;
}

/** `bulk`: a stream on a connection of its own, for what is large. */
export type TransportKind = "unary" | "stream" | "bulk";

export interface Greeting {
  /** As `ListBindingsResponse.instance`; empty when it does not say. */
  readonly instance: string;
  /** What it has bound, or as much of it as fits a frame. */
  readonly bound: readonly Stamp[];
}

export interface ShardCall extends ShardWay {
  /** What the reply must be stamped with. Who asks checks it; a transport may stop early at another one. */
  readonly expected: Stamp;
  readonly shard: number;
  readonly snapshot: string;
  /** `/package.Service/Method`. */
  readonly path: string;
  readonly request: Uint8Array;
  /** What the shard may take, in milliseconds. */
  readonly timeoutMs: number;
  readonly traceparent: string | undefined;
  /** What can be read besides the method's response message. */
  readonly accept?: PartialFormat | undefined;
  /** Asked before a service is granted more than what every call may send. Absent: only the partial's own ceiling holds. */
  readonly memory?: ReceiveMemory | undefined;
  /** Put in by the transport: what ends this call alone, where the signal ends all calls of its query. */
  under?: CallUnderWay | undefined;
}

/** The share of one query in what all of them may hold. */
export interface ReceiveMemory {
  /** Fault `overloaded`, which ends the query. */
  hold(bytes: number): void;
  release(bytes: number): void;
}

export interface CallUnderWay {
  cancelled(reason: unknown): void;
}

export interface ShardReply {
  /** Absent when the peer sent none, or one that cannot be read. */
  readonly stamp: Stamp | undefined;
  /** May be a view of more memory than it has bytes: who keeps it makes a copy. Its length is what came over the wire. */
  readonly message: Uint8Array;
  /** Nobody else reads the message, and its memory has nothing else in it: who has the reply may give it away. */
  readonly isOwn?: boolean;
  /** Bytes of the call's `memory` that were taken for the message: who has the reply releases them. */
  readonly held?: number;
  /** A protobuf TopBounds, as sent. */
  readonly bounds: Uint8Array | undefined;
  /** Absent: the method's response message. */
  readonly format?: PartialFormat;
  readonly transport?: TransportKind;
  /** What follows is for people, where it is known. */
  readonly pod?: string;
  /** Calls that were packed into the frame of this one. */
  readonly callsInFrame?: number;
  readonly timing?: ShardTiming | undefined;
}

/** Microseconds in the service: before the handler began, and until its partial was ready. */
export interface ShardTiming {
  readonly queueUs: number;
  readonly serviceUs: number;
}

export interface ShardStream {
  readonly stamp: Stamp | undefined;
  readonly transport?: TransportKind;
  /** Ends when the peer ended well; faults otherwise. `return()` cancels the call. */
  readonly messages: AsyncIterable<Uint8Array>;
}
