/**
 * The cheap refusal: when no more queries may wait, one that comes is refused before anything of it is read. The policy
 * is the admission's; the doors only ask it first. What a refusal costs bounds how much overload a gateway survives, so
 * there is no stack trace here, no registered query, no step, and the connection is kept.
 */
import type { FastifyReply } from "fastify";
import { Fault } from "../../fault/fault.ts";
import type { Admission } from "../admission/admission.ts";
import { PROBLEM_TYPE, type Problem, problemOf } from "../reply/problem.ts";
import { QUERY_ID_HEADER } from "../reply/reply-headers.ts";

const DETAIL = "admit query: no more may wait";
const TEMPLATE: Problem = problemOf(new Fault("overloaded", DETAIL));

/** True when it has replied. */
export function turnAwayHttp(admission: Admission, reply: FastifyReply, queryId: string | undefined): boolean {
  const retryAfterMs = admission.turnAway();
  if (retryAfterMs === undefined) return false;
  const problem: Problem = { ...TEMPLATE, ...(queryId === undefined ? {} : { queryId }), retryAfterMs };
  const body = JSON.stringify(problem);
  const headers: (string | number)[] = [
    ...["content-type", `${PROBLEM_TYPE}; charset=utf-8`, "content-length", Buffer.byteLength(body)],
    ...["cache-control", "no-store", "retry-after", Math.ceil(retryAfterMs / 1000)],
    ...(queryId === undefined ? [] : [QUERY_ID_HEADER, queryId]),
  ];
  reply.hijack();
  // Node skips the body that comes yet, and keeps the connection.
  reply.raw.writeHead(TEMPLATE.status, headers as string[]).end(body);
  return true;
}

/** Fault `overloaded`. grpc-js has the message by then; it is not decoded. */
export function turnAwayGrpc(admission: Admission): void {
  const retryAfterMs = admission.turnAway();
  if (retryAfterMs !== undefined) throw new Fault("overloaded", DETAIL, { retryAfterMs });
}
