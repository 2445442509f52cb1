import { status } from "@grpc/grpc-js";
import type { Fault } from "../../fault/fault.ts";
import { retryAdviceMs } from "../fault-status.ts";
import type { FragmentStatus } from "./fragment.ts";

export const OK_STATUS: FragmentStatus = { code: status.OK, message: "", fault: "", retryAfterMs: 0 };

/** A fault as the packed stream sends it: what `statusFromFault` says of it in trailing metadata. */
export function fragmentStatus(fault: Fault): FragmentStatus {
  return {
    code: status[fault.code],
    message: fault.message,
    fault: fault.id,
    retryAfterMs: retryAdviceMs(fault.detail.retryAfterMs),
  };
}

/** The process does not have the method: as gRPC says it of unary calls, and no fault of the catalogue. */
export function unknownMethodStatus(method: string): FragmentStatus {
  const message = `this process has no method ${JSON.stringify(method.slice(0, 200))}`;
  return { code: status.UNIMPLEMENTED, message, fault: "", retryAfterMs: 0 };
}
