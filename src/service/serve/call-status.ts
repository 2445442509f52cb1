import type { StatusObject } from "@grpc/grpc-js";
import { Fault } from "../../fault/fault.ts";
import { faultFromUnknown } from "../../fault/fault-from-unknown.ts";
import { statusFromFault } from "../../wire/fault-status.ts";

/** Messages travel in HTTP/2 headers, which proxies bound to some KiB. */
const MESSAGE_LENGTH_MAX = 1000;

/** What a handler threw, as the status of its call: id, code and message; never a stack. */
export function callStatus(error: unknown, attempted: string): StatusObject {
  const fault = faultFromUnknown(error, attempted);
  if (fault.message.length <= MESSAGE_LENGTH_MAX) return statusFromFault(fault);
  return statusFromFault(new Fault(fault.id, `${fault.message.slice(0, MESSAGE_LENGTH_MAX)}…`, fault.detail, fault));
}
