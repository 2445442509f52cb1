/** A gateway under test, ours or another's. */
export interface RunningPeer {
  readonly name: string;
  /** host:port of its HTTP door. */
  readonly http: string;
  /** host:port of its gRPC door, where it has one. */
  readonly grpc?: string;
  /** Its processes, whose CPU is the gateway's. */
  readonly pids: readonly number[];
  /** p99 of how late its event loop was since the last call, in ms; absent where there is no such loop. */
  loopDelayP99Ms?(): Promise<number>;
  /** Frames that it has sent and got since its start, where it packs calls. */
  frames?(): Promise<number>;
  /** Writes a CPU profile of what it does until the returned function is called. */
  profile?(file: string): Promise<() => Promise<void>>;
  stop(): Promise<void>;
}
