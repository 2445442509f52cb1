// `node:crypto` is the one built-in here besides assert: hashing is a pure function, and an own SHA-256 would only be
// slower and less trusted.
import { createHash } from "node:crypto";
import { describePlan } from "./describe-plan.ts";
import type { MethodPlan } from "./method-plan.ts";

/**
 * SHA-256 in hex over what the plan means. Goes into cache keys and entity tags: two service versions whose answers
 * merge alike have equal digests, and the slightest change of a rule gives another.
 */
export function planDigest(plan: MethodPlan): string {
  return createHash("sha256").update(describePlan(plan)).digest("hex");
}
