import { expect, test } from "vitest";
import type { CacheOutcome } from "../../../src/gateway/cache/shared-answers.ts";
import { cacheStatus } from "../../../src/gateway/reply/cache-status.ts";

const MISS: CacheOutcome = { answer: "miss", isCollapsed: false, isStored: true, partials: { asked: 4, found: 0 } };

test.each<[string, Partial<CacheOutcome>]>([
  ["skynetes; hit", { answer: "hit", isStored: false, partials: undefined }],
  ["skynetes; fwd=miss; stored", {}],
  ["skynetes; fwd=miss", { isStored: false }],
  ["skynetes; fwd=miss; collapsed", { isCollapsed: true, isStored: false }],
  ['skynetes; fwd=miss; stored; detail="partials=3/4"', { partials: { asked: 4, found: 3 } }],
  ['skynetes; hit; detail="partials=4/4"', { partials: { asked: 4, found: 4 } }],
  ["skynetes; fwd=miss; stored", { partials: { asked: 0, found: 0 } }],
  ["skynetes; fwd=request; stored", { answer: "request" }],
  ["skynetes; fwd=bypass; collapsed", { answer: "bypass", isCollapsed: true, isStored: false, partials: undefined }],
])("%s", (text, outcome) => {
  expect(cacheStatus({ ...MISS, ...outcome })).toBe(text);
});
