import { type ServiceError, status } from "@grpc/grpc-js";
import { Fault } from "../../../fault/fault.ts";
import { attempted, shardFault } from "../shard-fault.ts";
import type { ShardCall } from "../shard-transport.ts";

/**
 * Why a stream is no more: it said nothing for too long, it was ended from the other side, it was not opened, a frame
 * was not readable or broke a rule of the stream, a sentinel was denied, or the gateway closes.
 */
export type StreamLoss = "silent" | "ended" | "refused" | "unreadable" | "disorder" | "denied" | "closed";

/** Part of what is told of a call whose stream was lost; `STREAM_SILENT` and its like are reasons of missing shards. */
export interface LostStream {
  readonly loss: StreamLoss;
  /** In words. */
  readonly because: string;
  /** Of gRPC, when it ended the stream. */
  readonly error: ServiceError | undefined;
  /** There had been a hello. */
  readonly wasOpen: boolean;
}

/**
 * A call is not to blame for its stream: another replica, or a new stream, may answer it. Only what was said when the
 * stream was opened may be about the way: then it is what a unary call would have been told.
 */
export function lostCallFault({ loss, because, error }: LostStream, call: ShardCall): Fault {
  if (error !== undefined && (isDenial(error.code) || loss === "refused")) {
    const fault = shardFault(error, call);
    switch (fault.id) {
      case "shard-failed":
        if (isDenial(error.code)) return fault;
        break;
      case "stamp-mismatch":
      case "not-ready":
      case "overloaded":
        return fault;
      // The stream's headers are the version and the placement: whoever refuses those is somebody else.
      case "snapshot-not-bound":
        return new Fault("stamp-mismatch", fault.message, { shard: call.shard, reason: "STREAM_REFUSED" }, error);
    }
  }
  // A process that is gone is unavailable, whatever it was called by.
  const reason = error?.code === status.UNAVAILABLE ? "UNAVAILABLE" : `STREAM_${loss.toUpperCase()}`;
  const detail = { shard: call.shard, reason };
  return new Fault("shard-unavailable", `${attempted(call)}: ${because}`, detail, error);
}

export function isDenial(code: number | undefined): boolean {
  return code === status.PERMISSION_DENIED || code === status.UNAUTHENTICATED;
}
