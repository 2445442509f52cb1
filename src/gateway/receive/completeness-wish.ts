import { Fault } from "../../fault/fault.ts";

/** `strict`: all shards or an error. `partial`: at least the share `min` of the rows, and never nothing. */
export type AnswerQuality = { readonly kind: "strict" } | { readonly kind: "partial"; readonly min: number };

export const STRICT: AnswerQuality = { kind: "strict" };

const PARTIAL = /^partial(?:\s*;\s*min=(0|1|0?\.\d{1,6}|1\.0{1,6}))?$/;

/** Reads `strict`, `partial` or `partial;min=0.5`. Fault `invalid-request`. */
export function parseQuality(text: string | undefined): AnswerQuality {
  if (text === undefined || text === "strict") return STRICT;
  const partial = PARTIAL.exec(text.trim());
  if (partial === null) {
    const shown = JSON.stringify(text.slice(0, 80));
    throw new Fault("invalid-request", `read completeness: ${shown} is neither strict nor partial;min=0.5 (0 to 1)`);
  }
  return { kind: "partial", min: Number(partial[1] ?? 0) };
}
