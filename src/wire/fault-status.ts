import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { Metadata, type ServiceError, type StatusObject, status } from "@grpc/grpc-js";
import { Fault, type FaultDetail } from "../fault/fault.ts";
import { CATALOG, type FaultId, type GrpcCode } from "../fault/fault-catalog.ts";
import { FaultInfoSchema, RichStatusSchema } from "./generated/skynetes/v1/status_pb.ts";

const DETAILS = "grpc-status-details-bin";
const DOMAIN = "skynetes.io";
/** About 25 days: enough for any advice, and within every reader's 32 bits. */
const RETRY_AFTER_MS_MAX = 2 ** 31;
const ERROR_INFO = "type.googleapis.com/google.rpc.ErrorInfo";

/**
 * Advice as it may go over the wire: a whole number of milliseconds, 0 where there is none. Whoever refuses may have
 * computed it, so it may be any number: what makes no sense is none, and a fraction is a millisecond more.
 */
export function retryAdviceMs(ms = 0): number {
  if (!Number.isFinite(ms) || ms <= 0) return 0;
  return Math.min(RETRY_AFTER_MS_MAX, Math.ceil(ms));
}

/** A fault as gRPC sends it: code, message and the fault's id as `google.rpc.ErrorInfo`. */
export function statusFromFault(fault: Fault, trailers = new Metadata()): StatusObject {
  const metadata: Record<string, string> = {};
  if (fault.detail.shard !== undefined) metadata.shard = String(fault.detail.shard);
  const retryAfterMs = retryAdviceMs(fault.detail.retryAfterMs);
  if (retryAfterMs > 0) metadata.retry_after_ms = String(retryAfterMs);
  const info = create(FaultInfoSchema, { reason: fault.id, domain: DOMAIN, metadata });
  const code = status[fault.code];
  const rich = create(RichStatusSchema, {
    code,
    message: fault.message,
    details: [create(AnySchema, { typeUrl: ERROR_INFO, value: toBinary(FaultInfoSchema, info) })],
  });
  trailers.set(DETAILS, Buffer.from(toBinary(RichStatusSchema, rich)));
  return { code, details: fault.message, metadata: trailers };
}

/**
 * What a failed gRPC call means here. A peer that sent a fault of the catalogue gets it back whole; any other status
 * becomes the fault `otherwise` names for its code, `attempted` telling what was tried.
 */
export function faultFromStatus(error: ServiceError, attempted: string): Fault {
  return faultFromParts({ code: error.code, message: error.details, info: faultInfo(error) }, attempted, error);
}

/** What a peer tells of a call that failed. */
export interface StatusParts {
  /** Of gRPC. */
  readonly code: number;
  readonly message: string;
  /** Absent: the peer does not know the catalogue. */
  readonly info: { readonly id: FaultId; readonly detail: FaultDetail } | undefined;
}

/** The same for a status that came otherwise than in gRPC's trailers. */
export function faultFromParts({ code, message, info }: StatusParts, attempted: string, cause?: unknown): Fault {
  if (info !== undefined) return new Fault(info.id, message, info.detail, cause);
  const name = (status[code] ?? "UNKNOWN") as GrpcCode;
  return new Fault(faultIdOfCode(name), `${attempted}: ${message || name}`, { reason: name }, cause);
}

export function isFaultId(id: string): id is FaultId {
  return Object.hasOwn(CATALOG, id);
}

function faultInfo(error: ServiceError): { id: FaultId; detail: FaultDetail } | undefined {
  const bytes = error.metadata?.get(DETAILS)[0];
  if (!(bytes instanceof Buffer)) return undefined;
  try {
    for (const any of fromBinary(RichStatusSchema, bytes).details) {
      if (any.typeUrl !== ERROR_INFO) continue;
      const info = fromBinary(FaultInfoSchema, any.value);
      if (info.domain !== DOMAIN || !isFaultId(info.reason)) continue;
      const shard = info.metadata.shard;
      const retryAfterMs = retryAdviceMs(Number(info.metadata.retry_after_ms));
      return {
        id: info.reason,
        detail: {
          ...(shard === undefined ? {} : { shard: Number(shard) }),
          ...(retryAfterMs === 0 ? {} : { retryAfterMs }),
        },
      };
    }
  } catch {
    // Details that do not decode say nothing; code and message still do.
  }
  return undefined;
}

function faultIdOfCode(code: GrpcCode): FaultId {
  switch (code) {
    case "DEADLINE_EXCEEDED":
      return "deadline-exceeded";
    case "CANCELLED":
      return "cancelled";
    case "INVALID_ARGUMENT":
    case "OUT_OF_RANGE":
      return "invalid-request";
    case "FAILED_PRECONDITION":
      return "snapshot-not-bound";
    case "UNAVAILABLE":
      return "shard-unavailable";
    case "RESOURCE_EXHAUSTED":
      return "overloaded";
    default:
      return "shard-failed";
  }
}
