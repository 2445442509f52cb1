import { createHash } from "node:crypto";
import { stringify } from "safe-stable-stringify";

/**
 * The first 8 hex digits of the SHA-256 of the template's canonical JSON (keys sorted, no spaces). It ends the version's
 * name, so a template cannot be changed under its old name and two versions never share one.
 */
export function templateHash(template: unknown): string {
  return createHash("sha256")
    .update(stringify(template) ?? "")
    .digest("hex")
    .slice(0, 8);
}
