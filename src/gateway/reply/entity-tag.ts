import { createHash } from "node:crypto";

/** All that an answer depends on; nothing that it does not. */
export interface AnswerIdentity {
  readonly snapshot: string;
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
  const { request, ...names } = identity;
  // JSON keeps the parts apart, whatever is in them; the request comes last and is the rest.
  const hash = createHash("sha256").update(JSON.stringify(names)).update("\n").update(request);
  return `"${hash.digest("base64url").slice(0, 32)}"`;
}

/** If-None-Match against a tag, by the weak comparison that RFC 9110 asks for. */
export function matchesTag(ifNoneMatch: string | undefined, tag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  const tags = ifNoneMatch.split(",").map((one) => one.trim().replace(/^W\//, ""));
  return tags.includes("*") || tags.includes(tag);
}
