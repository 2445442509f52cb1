import { type ServiceError, status } from "@grpc/grpc-js";
import { Fault } from "../../fault/fault.ts";
import type { FaultId } from "../../fault/fault-catalog.ts";
import { faultFromParts, faultFromStatus, isFaultId } from "../../wire/fault-status.ts";
import type { ShardCall } from "./shard-transport.ts";

/** What the failure of a call of a shard means to the gateway. */
export function shardFault(error: ServiceError, call: ShardCall): Fault {
  // grpc-js's own refusal; a peer's RESOURCE_EXHAUSTED means that it has too much to do.
  if (error.code === status.RESOURCE_EXHAUSTED && error.details?.includes("larger than max")) {
    return new Fault("answer-too-large", `${attempted(call)}: ${error.details}`, { shard: call.shard }, error);
  }
  return asMeantHere(error.code, error.details, faultFromStatus(error, attempted(call)), call);
}

/** The same for the status at the end of a packed call. `fault` and `retryAfterMs`: empty and 0 say nothing. */
export function packedFault(
  end: { readonly code: number; readonly message: string; readonly fault: string; readonly retryAfterMs: number },
  call: ShardCall,
): Fault {
  const { code, message, fault: id } = end;
  const detail = end.retryAfterMs === 0 ? {} : { retryAfterMs: end.retryAfterMs };
  const info = isFaultId(id) ? { id, detail } : undefined;
  return asMeantHere(code, message, faultFromParts({ code, message, info }, attempted(call)), call);
}

function asMeantHere(code: number, details: string, fault: Fault, call: ShardCall): Fault {
  // A process without this service is not the one that was meant.
  const id = code === status.UNIMPLEMENTED ? "stamp-mismatch" : meaningHere(fault.id);
  if (id === fault.id) return new Fault(id, fault.message, { ...fault.detail, shard: call.shard }, fault.cause);
  return new Fault(id, `${attempted(call)}: ${details}`, { shard: call.shard }, fault.cause);
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
    case "snapshot-expired":
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

export function attempted(call: ShardCall): string {
  return `ask shard ${call.shard} on ${call.node}`;
}
