import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { expect, test } from "vitest";
import { CATALOG } from "../../src/fault/fault-catalog.ts";

const page = readFileSync(resolve(import.meta.dirname, "../../docs/problems.md"), "utf8");
const rows = [...page.matchAll(/^\| `([a-z-]+)` \| (\d+) \| `([A-Z_]+)` \| (yes|no) \| (.+) \|$/gm)];

test("docs/problems.md lists every fault with its codes, and no other", () => {
  const listed = Object.fromEntries(rows.map(([, id, http, code, retry]) => [id, { http: Number(http), code, retry }]));
  const real = Object.fromEntries(
    Object.entries(CATALOG).map(([id, { http, code, retryable }]) => [
      id,
      { http, code, retry: retryable ? "yes" : "no" },
    ]),
  );
  expect(listed).toEqual(real);
});
