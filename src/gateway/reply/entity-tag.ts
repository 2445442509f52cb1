import { createHash, type Hash } from "node:crypto";

/** All that an answer depends on besides its request; nothing that it does not. */
export interface AnswerOrigin {
  readonly snapshot: string;
  /** Expected rows, which the body's completeness tells. */
  readonly rows: bigint;
  /** By shard, ascending. */
  readonly stateDigests: readonly string[];
  readonly version: string;
  readonly planDigest: string;
  /** `package.Service/Method`. */
  readonly method: string;
  /** Media type of the reply. */
  readonly format: string;
}

/**
 * Makes the strong tags of answers: the same at every gateway, and known before any shard is asked. A request is in
 * protobuf's wire format, so that equal requests written differently are one. What all requests share is hashed once:
 * with many shards it is some thousand bytes.
 */
export function entityTagger({ rows, ...others }: AnswerOrigin): (request: Uint8Array) => string {
  const names = { ...others, rows: rows.toString() };
  // JSON keeps the parts apart, whatever is in them; the request comes last and is the rest.
  const begun: Hash = createHash("sha256").update(JSON.stringify(names)).update("\n");
  return (request) => `"${begun.copy().update(request).digest("base64url").slice(0, 32)}"`;
}

/**
 * If-None-Match against a tag, by the weak comparison that RFC 9110 asks for. `*` matches nothing: it asks whether there
 * is any answer now, and that is not known before the shards are asked.
 */
export function matchesTag(ifNoneMatch: string | undefined, tag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  return ifNoneMatch.split(",").some((one) => one.trim().replace(/^W\//, "") === tag);
}
