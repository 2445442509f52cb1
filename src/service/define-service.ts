import type { DescMethod, DescService, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { Fault } from "../fault/fault.ts";
import type { ReplacedRows, SnapshotChanges } from "./load/snapshot-changes.ts";
import type { ColumnBatch, SnapshotReader } from "./load/snapshot-reader.ts";

export type { ColumnBatch, ReplacedRows, SnapshotChanges, SnapshotReader };

/** What a call knows besides its request. */
export interface CallContext {
  readonly shard: number;
  readonly snapshot: string;
  /** Aborts at the deadline, when the caller goes away, and when the gateway no longer wants the partial. */
  readonly signal: AbortSignal;
}

/** How a call came: of its own over gRPC, or packed with others in a stream. */
export type CallTransport = "unary" | "streaming" | "converse";

/** Who calls, as far as the transport knows. */
export interface CallPeer {
  /** host:port of the connection: in a mesh the sidecar's. */
  readonly address: string;
  /**
   * Values of a header: of the call, or of the stream that it came in, which was opened once for many calls. A mesh
   * with mutual TLS says in `x-forwarded-client-cert` who the caller is.
   */
  header(name: string): readonly string[];
}

/** What is known of a call before anything is done for it. */
export interface CallToAuthorize {
  /** `package.Service/Method`. */
  readonly method: string;
  readonly shard: number;
  readonly snapshot: string;
  readonly transport: CallTransport;
  readonly peer: CallPeer;
}

/** Anything but `allowed` refuses the call; the fault says why, usually `permission-denied`. */
export type Authorization = "allowed" | Fault;

export type Authorize = (call: CallToAuthorize) => Authorization | Promise<Authorization>;

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
  /**
   * Builds the state of another snapshot of the same shard from `previous` and the rows by which the two differ, so that a
   * bind costs what has changed. What it returns must be what `load` would have made of that snapshot; `checkAdvance`
   * of `skynetes/service/check-advance` holds the two against each other on random histories.
   *
   * `previous` stays bound and answers calls meanwhile and after: it must not be changed. Share with it what is the same
   * (a typed array, a map that no row has touched), and copy what is written to. What it throws is reported, and the
   * snapshot is loaded instead. Absent: every snapshot is loaded.
   */
  advance?(previous: State, changes: SnapshotChanges): Promise<State>;
  /** Rough bytes of a state without its `sharedParts`, for the memory bound; optional. */
  memoryBytes?(state: State): number;
  /**
   * Objects of a state that others may share, each with its rough bytes: arrays, maps, buffers that `advance` takes over as
   * they are. By its identity each is counted once, however many bound states hold it.
   */
  sharedParts?(state: State): Iterable<readonly [part: object, bytes: number]>;
  readonly methods: ServiceMethods<S, State>;
  /**
   * Asked for every call on every transport before its state is looked up: a mesh's own rules see the opening of a
   * packed stream, not the calls in it. Without it all calls that reach the process are allowed.
   */
  readonly authorize?: Authorize;
}

/**
 * One handler for each method, by its name in TypeScript (`summarize` for `Summarize`). What it returns is encoded in later
 * turns, and long values are sent from where they are: nobody may change it any more.
 */
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
