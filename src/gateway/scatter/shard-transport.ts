import type { Stamp } from "../../mesh/stamp.ts";

/**
 * How a shard is reached: unary gRPC now, the packed stream later. Narrow on purpose: it moves bytes and says who
 * answered; whether that was right is decided above it.
 */
export interface ShardTransport {
  /** Resolves when the whole reply is there. Faults as `ShardReply` says, or as the peer sent them. */
  unary(call: ShardCall, signal: AbortSignal): Promise<ShardReply>;
  /** Resolves when the stamp is there, before any message. */
  stream(call: ShardCall, signal: AbortSignal): Promise<ShardStream>;
  /** Connections to other addresses are closed when the calls on them have ended. */
  keep(addresses: ReadonlySet<string>): void;
  close(): void;
}

export interface ShardCall {
  /** host:port. */
  readonly address: string;
  /** Node of the placement. */
  readonly node: string;
  readonly version: string;
  readonly shard: number;
  readonly snapshot: string;
  /** `/package.Service/Method`. */
  readonly path: string;
  readonly request: Uint8Array;
  /** What the shard may take, in milliseconds. */
  readonly timeoutMs: number;
  readonly traceparent: string | undefined;
}

export interface ShardReply {
  /** Absent when the peer sent none, or one that cannot be read. */
  readonly stamp: Stamp | undefined;
  readonly message: Uint8Array;
  /** A protobuf TopBounds, as sent. */
  readonly bounds: Uint8Array | undefined;
}

export interface ShardStream {
  readonly stamp: Stamp | undefined;
  /** Ends when the peer ended well; faults otherwise. `return()` cancels the call. */
  readonly messages: AsyncIterable<Uint8Array>;
}
