import type { Fault } from "../../fault/fault.ts";

/** Another try may go well: the fault says nothing about the request. */
export function isWorthRetrying(fault: Fault): boolean {
  switch (fault.id) {
    case "shard-unavailable":
    case "snapshot-not-bound":
    case "stamp-mismatch":
    case "not-ready":
      return true;
    default:
      return false;
  }
}

/** Any placement would say the same: nothing that is under way elsewhere is waited for. */
export function isAboutTheRequest(fault: Fault): boolean {
  switch (fault.id) {
    case "invalid-request":
    case "request-too-large":
    case "overflow":
    case "answer-too-large":
      return true;
    default:
      return false;
  }
}

/** The transport has found the whole way to a placement silent or gone, under all calls on it. */
export function isWayLost(fault: Fault): boolean {
  return fault.id === "shard-unavailable" && (fault.detail.reason?.startsWith("STREAM_") ?? false);
}

/** What a fault tells of the placement that it came from. */
export function tellsOfPlacement(fault: Fault): "unfit" | "overload" | "slow" | "answer" {
  switch (fault.id) {
    case "shard-unavailable":
    case "snapshot-not-bound":
    case "stamp-mismatch":
    case "not-ready":
    case "data-corrupt":
      return "unfit";
    case "overloaded":
    case "out-of-memory":
      return "overload";
    case "deadline-exceeded":
    case "cancelled":
      return "slow";
    default:
      return "answer";
  }
}
