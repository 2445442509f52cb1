import { findErrorBy } from "@platformatic/kafka";
import { Fault } from "../../fault/fault.ts";
import type { FaultId } from "../../fault/fault-catalog.ts";
import { faultFromUnknown } from "../../fault/fault-from-unknown.ts";

/** Codes of Kafka's protocol that something here decides by. */
export const KAFKA_ERROR = {
  none: 0,
  offsetOutOfRange: 1,
  corruptMessage: 2,
  unknownTopicOrPartition: 3,
  topicAlreadyExists: 36,
  unknownTopicId: 100,
} as const;

/**
 * What each code means to a caller; any other is `log-unavailable`, for the same request may succeed once the cluster has
 * settled. The first group could be mended by asking another broker: see `isStaleLeader`.
 */
const FAULT_OF_CODE: Readonly<Record<number, FaultId>> = {
  2: "log-corrupt",
  3: "unknown-topic",
  10: "invalid-request", // MESSAGE_TOO_LARGE
  17: "invalid-request", // INVALID_TOPIC_EXCEPTION
  18: "invalid-request", // RECORD_LIST_TOO_LARGE
  29: "permission-denied", // TOPIC_AUTHORIZATION_FAILED
  31: "permission-denied", // CLUSTER_AUTHORIZATION_FAILED
  32: "invalid-request", // INVALID_TIMESTAMP
  37: "invalid-request", // INVALID_PARTITIONS
  38: "invalid-request", // INVALID_REPLICATION_FACTOR
  40: "invalid-request", // INVALID_CONFIG
  44: "permission-denied", // POLICY_VIOLATION
  45: "fenced", // OUT_OF_ORDER_SEQUENCE_NUMBER
  47: "fenced", // INVALID_PRODUCER_EPOCH
  58: "permission-denied", // SASL_AUTHENTICATION_FAILED
  59: "fenced", // UNKNOWN_PRODUCER_ID
  87: "invalid-request", // INVALID_RECORD
};

/** The partition is led by another broker than the one that was asked, or by nobody for now. */
const STALE_LEADER = new Set([3, 5, 6, 9, 74, 75, 76, 78, 100, 103]);

export function isStaleLeader(code: number): boolean {
  return STALE_LEADER.has(code);
}

export function faultOfCode(code: number, attempted: string, said?: string | null): Fault {
  const text = said ?? undefined;
  const words = text === undefined ? "" : `: ${text}`;
  return new Fault(FAULT_OF_CODE[code] ?? "log-unavailable", `${attempted}: Kafka's error code ${code}${words}`);
}

/** The first code of a response that the client turned into an error. */
export function codeOf(error: unknown): number | undefined {
  const all = [error, ...((error as { errors?: unknown[] }).errors ?? [])];
  const coded = all.find((one) => typeof (one as { apiCode?: unknown } | undefined)?.apiCode === "number");
  return (coded as { apiCode: number } | undefined)?.apiCode;
}

/**
 * An error of the client. Its response errors carry codes; refused credentials end a connection and say so in a cause;
 * anything else is a broker that cannot be reached or understood for now.
 */
export function faultOfClient(error: unknown, attempted: string): Fault {
  if (error instanceof Fault || error instanceof DOMException) return faultFromUnknown(error, attempted);
  const code = codeOf(error);
  if (code !== undefined) return faultOfCode(code, attempted, (error as Error).message);
  if (!(error instanceof Error)) return faultFromUnknown(error, attempted);
  const refused = causes(error).find((cause) => findErrorBy(cause, "code", "PLT_KFK_AUTHENTICATION") !== null);
  if (refused !== undefined) {
    return new Fault("permission-denied", `${attempted}: the broker refuses the credentials`, {}, error);
  }
  const last = causes(error).at(-1)?.message ?? error.message;
  const reason = last === error.message ? last : `${error.message} (${last})`;
  return new Fault("log-unavailable", `${attempted}: ${reason}`, {}, error);
}

function causes(error: Error): readonly Error[] {
  const found: Error[] = [];
  for (let next: unknown = error; next instanceof Error && found.length < 8; next = next.cause) found.push(next);
  return found;
}
