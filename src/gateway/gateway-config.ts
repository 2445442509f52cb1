import type { Socket } from "node:net";
import type { Clock, Randomness } from "../process/clock.ts";
import type { LineLog } from "../process/log-line.ts";
import type { RunningTelemetry } from "../telemetry/start-telemetry.ts";
import type { RouteTable } from "../wire/generated/skynetes/v1/table_pb.ts";
import { ADMISSION_DEFAULTS, type AdmissionLimits } from "./admission/admission-limits.ts";
import type { GatewayPart, WholeGateway } from "./whole-gateway.ts";

export interface GatewayConfig {
  /** Name among the mesh's gateways. */
  readonly name: string;
  /** Port 0 lets the machine choose. */
  readonly listen: {
    readonly host: string;
    readonly httpPort: number;
    readonly grpcPort: number;
    /** Never open to clients: whoever reaches it decides where queries go. */
    readonly adminPort?: number;
  };
  /** In a worker, which has no admin port: what it is a part of. */
  readonly partOf?: PartOf;
  /** Seals are read from `<archive>/snapshots/<id>.seal.json`. */
  readonly archiveDirectory: string;
  readonly limits?: Partial<GatewayLimits>;
  /** `unary`: no packed streams, whatever services speak. */
  readonly transport?: "stream" | "unary";
  /** Queries that ask the same at the same time are answered together; so it is unless told. */
  readonly joins?: boolean;
  readonly clock: Clock;
  readonly randomness: Randomness;
  /** Absent: nothing is traced or counted, and /metrics says so. */
  readonly telemetry?: RunningTelemetry;
  /** Told of replicas that differ. */
  readonly log?: LineLog;
}

export interface PartOf {
  readonly whole: WholeGateway;
  /** Called before there is any connection: makes the part known, and returns the table to begin with. */
  join(part: GatewayPart): Promise<RouteTable | undefined>;
  /** Called instead of listening: connections are brought to the doors. */
  take(doors: { readonly http: (socket: Socket) => void; readonly grpc: (socket: Socket) => void }): void;
}

/** Everything that the outside can fill has its bound here. */
export interface GatewayLimits extends AdmissionLimits {
  /** For requests that bring no deadline. */
  readonly deadlineDefaultMs: number;
  /** Longer wishes are shortened to it. */
  readonly deadlineMaxMs: number;
  readonly bodyBytesMax: number;
  readonly jsonDepthMax: number;
  /** Sockets of HTTP clients; more are closed as they come. */
  readonly connectionsMax: number;
  /** Queries in one answer set. */
  readonly answerSetMax: number;
  /** Least share of rows of a partial answer, whatever the client would accept. */
  readonly partialFloor: number;
  /** One message of one shard. */
  readonly partialBytesMax: number;
  /** All partials of one answer together. */
  readonly groupBytesMax: number;
  /** What all queries hold together: partials, groups, answers on their way out. More are refused with retry advice. */
  readonly memoryBytesMax: number;
  /** Threads for large merges, started when they are wanted; while all are at work, and with 0, merges run in slices. */
  readonly mergeThreadsMax: number;
  /** A merge whose partials are expected to be so many bytes together is large. */
  readonly mergeThreadBytes: number;
  /** What the caches of answers and partials take, keys and overhead included; 0 keeps nothing. */
  readonly cacheBytesMax: number;
  /** A reader that takes nothing for so long is given up. */
  readonly stalledReaderMs: number;
  /** Shard calls beyond the needed ones, hedges and audits together, for each needed one; 0: none. */
  readonly hedgeShare: number;
  /** Share of a shard's answers that a second replica is asked for as well, to compare; 0: none. */
  readonly auditShare: number;
  /** Calls under way may end within it when the gateway closes or a placement leaves the table. */
  readonly drainMs: number;
}

export const DEFAULT_LIMITS: GatewayLimits = {
  ...ADMISSION_DEFAULTS,
  deadlineDefaultMs: 10_000,
  deadlineMaxMs: 120_000,
  bodyBytesMax: 1024 * 1024,
  jsonDepthMax: 32,
  connectionsMax: 4096,
  answerSetMax: 16,
  partialFloor: 0,
  partialBytesMax: 64 * 1024 * 1024,
  groupBytesMax: 256 * 1024 * 1024,
  memoryBytesMax: 1024 * 1024 * 1024,
  mergeThreadsMax: 2,
  mergeThreadBytes: 1024 * 1024,
  cacheBytesMax: 128 * 1024 * 1024,
  stalledReaderMs: 30_000,
  hedgeShare: 0.05,
  auditShare: 0.001,
  drainMs: 5_000,
};

/** Addresses are host:port. */
export interface RunningGateway {
  readonly httpAddress: string;
  readonly grpcAddress: string;
  /** Empty in a worker. */
  readonly adminAddress: string;
  readonly part: GatewayPart;
  /** Refuses new queries, lets those under way end within `drainMs`, then closes every socket. */
  close(): Promise<void>;
}
