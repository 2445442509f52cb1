import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { NODE_VERSION_MIN, nodeVersionProblem } from "../../src/process/node-version.ts";

test.each(["24.6.0", "24.21.0", "25.0.0", "100.1.2"])("node.js %s will do", (version) => {
  expect(nodeVersionProblem(version)).toBeUndefined();
});

test.each(["20.19.0", "22.18.1", "24.5.9"])("node.js %s is refused, and the message says what is needed", (version) => {
  expect(nodeVersionProblem(version)).toContain(`${version} is too old, ${NODE_VERSION_MIN} or later`);
});

test("the least version is the one that package.json promises", () => {
  const { engines } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  expect(engines.node).toBe(`>=${NODE_VERSION_MIN}`);
});
