import { Fault } from "../../fault/fault.ts";
import { faultFromUnknown } from "../../fault/fault-from-unknown.ts";

/** Messages travel in HTTP/2 headers, which proxies bound to some KiB, and in frames beside other calls. */
const MESSAGE_LENGTH_MAX = 1000;

/** What was thrown, as the fault that the caller is told: id, code and message; never a stack. */
export function callFault(error: unknown, attempted: string): Fault {
  const fault = faultFromUnknown(error, attempted);
  if (fault.message.length <= MESSAGE_LENGTH_MAX) return fault;
  return new Fault(fault.id, `${fault.message.slice(0, MESSAGE_LENGTH_MAX)}…`, fault.detail, fault);
}
