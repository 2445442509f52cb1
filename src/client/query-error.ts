/** RFC 9457 problem document of a gateway. */
export interface Problem {
  /** Ends with the fault's stable id. */
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  /** Name of the gRPC status code. */
  readonly code?: string;
  readonly retryable?: boolean;
  readonly retryAfterMs?: number;
  readonly queryId?: string;
  readonly shard?: number;
  readonly errors?: readonly { readonly pointer: string; readonly detail: string }[];
}

/**
 * A query that got no answer. `id` is the fault's id in the catalogue (`unknown-snapshot`, `incomplete-answer`, …), or one
 * of the client's own: `gateway-unreachable` (no connection, or it broke before an answer), `broken-answer` (what came
 * is not an answer, or was cut off).
 */
export class QueryError extends Error {
  readonly id: string;
  /** As the gateway sent it; absent for the client's own. */
  readonly problem: Problem | undefined;

  constructor(id: string, message: string, problem?: Problem, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "QueryError";
    this.id = id;
    this.problem = problem;
  }

  /** The same query may succeed later. */
  get retryable(): boolean {
    return this.problem?.retryable ?? this.id === "gateway-unreachable";
  }
}

/** What a body of `application/problem+json`, or a `$error` line, says. */
export function errorOfProblem(body: unknown, attempted: string): QueryError {
  const problem = body as Partial<Problem> | null;
  if (typeof problem !== "object" || problem === null || typeof problem.type !== "string") {
    return new QueryError("broken-answer", `${attempted}: the error is not a problem document`);
  }
  const whole: Problem = { title: "", status: 0, detail: "", ...problem, type: problem.type };
  return new QueryError(whole.type.slice(whole.type.lastIndexOf("/") + 1), whole.detail || whole.title, whole);
}
