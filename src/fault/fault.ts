import { CATALOG, type FaultId, type GrpcCode } from "./fault-catalog.ts";

/**
 * The one error class: something expected went wrong and a caller may act on it. Messages are lower-case, name the
 * thing and the value, and say what was attempted.
 */
export class Fault extends Error {
  readonly id: FaultId;
  /** Facts for programs: part of the problem document. */
  readonly detail: FaultDetail;

  constructor(id: FaultId, message: string, detail: FaultDetail = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "Fault";
    this.id = id;
    this.detail = detail;
  }

  get code(): GrpcCode {
    return CATALOG[this.id].code;
  }

  get retryable(): boolean {
    return CATALOG[this.id].retryable;
  }
}

export interface FaultDetail {
  readonly shard?: number;
  readonly retryAfterMs?: number;
  /** JSON pointers into the request with what is wrong there. */
  readonly errors?: readonly { readonly pointer: string; readonly detail: string }[];
  /** The reason to show for a missing shard, where it is finer than the code. */
  readonly reason?: string;
}
