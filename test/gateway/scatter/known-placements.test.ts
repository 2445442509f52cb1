import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { KnownPlacements } from "../../../src/gateway/scatter/known-placements.ts";
import { SCATTER_POLICY } from "../../../src/gateway/scatter/scatter-policy.ts";
import { until } from "./answering-service.ts";

const knownOf = (placementsMax: number) => new KnownPlacements({ ...SCATTER_POLICY.replica, placementsMax });
const at = (node: string) => ({ node, address: `${node}:1` });

test("is one for a node and address, whatever table names it", () => {
  const known = knownOf(4);
  const a = known.of(at("a"));
  expect(known.of(at("a"))).toBe(a);
  expect(known.of({ node: "a", address: "a:2" })).not.toBe(a);
  expect(known.of({ node: "b", address: "a:1" })).not.toBe(a);
});

test("stays one while anybody has it, however many came after it and whether they are idle or not", () => {
  const known = knownOf(2);
  const nodes = Array.from({ length: 50 }, (_, n) => `n${n}`);
  const held = nodes.map((node) => known.of(at(node)));
  // All in use, half of them with calls under way.
  for (const placement of held.slice(25)) placement.begin(0);
  collectGarbage();
  expect(nodes.map((node) => known.of(at(node)))).toEqual(held);
  for (const [n, node] of nodes.entries()) expect(known.of(at(node))).toBe(held[n]);
  expect(known.size).toBe(50);
});

test("is forgotten when nobody has it, but for those that were wanted last", async () => {
  const known = knownOf(2);
  for (let n = 0; n < 50; n++) known.of(at(`n${n}`)).begin(0);
  // Wanted again, so it is not the one to go when another comes.
  expect(known.of(at("n48")).inFlight).toBe(1);
  known.of(at("new"));
  await until(() => {
    collectGarbage();
    return known.size === 2;
  }, "placements that nobody has are forgotten");
  expect(known.of(at("n48")).inFlight).toBe(1);
  expect(known.of(at("n49")).inFlight).toBe(0);
});

function collectGarbage(): void {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
}
