import type { DescMethod, DescService, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { ColumnBatch, SnapshotReader } from "./load/snapshot-reader.ts";

export type { ColumnBatch, SnapshotReader };

/** What a call knows besides its request. */
export interface CallContext {
  readonly shard: number;
  readonly snapshot: string;
  /** Aborts at the deadline, when the caller goes away, and when the gateway no longer wants the partial. */
  readonly signal: AbortSignal;
}

/**
 * A service as its author writes it. The kit serves it for every shard and snapshot that the node agent binds.
 *
 * `State` holds whatever the methods need of one shard at one snapshot; the kit never mixes two.
 */
export interface ServiceDefinition<S extends DescService, State> {
  readonly service: S;
  /**
   * Builds the state of one shard from the snapshot's columns. It must depend on nothing else: two replicas, and two
   * snapshots with equal content, must come to equal answers.
   */
  load(snapshot: SnapshotReader): Promise<State>;
  /** Rough bytes of a state, for the memory bound; optional. */
  memoryBytes?(state: State): number;
  readonly methods: ServiceMethods<S, State>;
}

/** One handler for each method, by its name in TypeScript (`summarize` for `Summarize`). */
export type ServiceMethods<S extends DescService, State> = {
  readonly [K in keyof S["method"]]: S["method"][K] extends DescMethod ? MethodHandler<S["method"][K], State> : never;
};

export type MethodHandler<M extends DescMethod, State> = M["methodKind"] extends "server_streaming"
  ? (
      request: MessageShape<M["input"]>,
      state: State,
      call: CallContext,
    ) => Iterable<MessageInitShape<M["output"]>> | AsyncIterable<MessageInitShape<M["output"]>>
  : (
      request: MessageShape<M["input"]>,
      state: State,
      call: CallContext,
    ) => MessageInitShape<M["output"]> | Promise<MessageInitShape<M["output"]>>;

/** Keeps the types of a definition together; `serveService` runs it. */
export function defineService<S extends DescService, State>(
  definition: ServiceDefinition<S, State>,
): ServiceDefinition<S, State> {
  return definition;
}
