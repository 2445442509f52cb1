import { createHash } from "node:crypto";

/** All that an answer depends on; nothing that it does not. */
export interface AnswerIdentity {
  readonly snapshot: string;
  /** Expected rows, which the body's completeness tells. */
  readonly rows: bigint;
  /** By shard, ascending. */
  readonly stateDigests: readonly string[];
  readonly version: string;
  readonly planDigest: string;
  /** `package.Service/Method`. */
  readonly method: string;
  /** The request in protobuf's wire format: equal requests written differently are one. */
  readonly request: Uint8Array;
  /** Media type of the reply. */
  readonly format: string;
}

/** A strong tag: the same at every gateway, and known before any shard is asked. */
export function entityTag(identity: AnswerIdentity): string {
  const { request, rows, ...others } = identity;
  const names = { ...others, rows: rows.toString() };
  // JSON keeps the parts apart, whatever is in them; the request comes last and is the rest.
  const hash = createHash("sha256").update(JSON.stringify(names)).update("\n").update(request);
  return `"${hash.digest("base64url").slice(0, 32)}"`;
}

/**
 * If-None-Match against a tag, by the weak comparison that RFC 9110 asks for. `*` matches nothing: it asks whether there
 * is any answer now, and that is not known before the shards are asked.
 */
export function matchesTag(ifNoneMatch: string | undefined, tag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  return ifNoneMatch.split(",").some((one) => one.trim().replace(/^W\//, "") === tag);
}
