import type { Fault } from "../fault/fault.ts";
import type { FaultId } from "../fault/fault-catalog.ts";

/** What the process says when it ends. Part of the command line's contract: scripts branch on them. */
export const EXIT_CODE = {
  ok: 0,
  failure: 1,
  /** The command line is wrong. */
  usage: 2,
  /** A query was answered by some of the shards only. */
  incompleteAnswer: 3,
  /** Somebody else holds the data directory or the port (EX_UNAVAILABLE). */
  unavailable: 69,
  /** The manifest or another configuration is wrong (EX_CONFIG). */
  configuration: 78,
  /** A second Ctrl-C cut the orderly stop short. */
  interrupted: 130,
} as const;

const BY_FAULT: Partial<Record<FaultId, number>> = {
  "invalid-manifest": EXIT_CODE.configuration,
  "invalid-service": EXIT_CODE.configuration,
  "store-locked": EXIT_CODE.unavailable,
  "port-in-use": EXIT_CODE.unavailable,
  "incomplete-answer": EXIT_CODE.incompleteAnswer,
};

export function exitCodeOfFault(fault: Fault): number {
  return BY_FAULT[fault.id] ?? EXIT_CODE.failure;
}
