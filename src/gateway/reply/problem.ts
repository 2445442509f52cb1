import type { Fault } from "../../fault/fault.ts";
import { CATALOG } from "../../fault/fault-catalog.ts";

export const PROBLEM_TYPE = "application/problem+json";

/** RFC 9457, with members for programs. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  /** Name of the gRPC status code. */
  readonly code: string;
  readonly retryable: boolean;
  readonly queryId?: string;
  readonly shard?: number;
  readonly retryAfterMs?: number;
  readonly errors?: readonly { readonly pointer: string; readonly detail: string }[];
}

export function problemOf(fault: Fault, queryId?: string): Problem {
  const entry = CATALOG[fault.id];
  const { shard, retryAfterMs, errors } = fault.detail;
  return {
    type: `https://skynetes.io/problems/${fault.id}`,
    title: entry.title,
    status: entry.http,
    detail: fault.message,
    code: entry.code,
    retryable: entry.retryable,
    ...(queryId === undefined ? {} : { queryId }),
    ...(shard === undefined ? {} : { shard }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(errors === undefined ? {} : { errors }),
  };
}
