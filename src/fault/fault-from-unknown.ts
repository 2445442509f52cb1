import { Fault } from "./fault.ts";

/** The single gate for foreign errors: what was thrown, as a fault, its cause kept for logs. */
export function faultFromUnknown(error: unknown, attempted: string): Fault {
  if (error instanceof Fault) return error;
  if (error instanceof DOMException && error.name === "TimeoutError") {
    return new Fault("deadline-exceeded", `${attempted}: deadline exceeded`, {}, error);
  }
  if (error instanceof DOMException && error.name === "AbortError") {
    return new Fault("cancelled", `${attempted}: cancelled`, {}, error);
  }
  const text = error instanceof Error ? error.message : String(error);
  return new Fault("internal", `${attempted}: ${text}`, {}, error);
}
