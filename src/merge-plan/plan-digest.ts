// `node:crypto` is the one built-in here besides assert: hashing is a pure function, and an own SHA-256 would only be
// slower and less trusted.
import { createHash } from "node:crypto";
import { describePlan } from "./describe-plan.ts";
import type { MethodPlan } from "./method-plan.ts";

/** Plans live as long as their version, and a digest is a good part of what a small query costs. */
const digests = new WeakMap<MethodPlan, string>();

/**
 * SHA-256 in hex over what the plan means. Goes into cache keys and entity tags: two service versions whose answers
 * merge alike have equal digests, and the slightest change of a rule gives another.
 */
export function planDigest(plan: MethodPlan): string {
  const known = digests.get(plan);
  if (known !== undefined) return known;
  const digest = createHash("sha256").update(describePlan(plan)).digest("hex");
  digests.set(plan, digest);
  return digest;
}
