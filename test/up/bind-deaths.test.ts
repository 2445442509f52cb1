import { describe, expect, test } from "vitest";
import type { Action } from "../../src/lifecycle/action.ts";
import { BindDeaths } from "../../src/up/drive/bind-deaths.ts";
import { V1, V2 } from "./mesh-fixture.ts";

const MINUTE = 60_000;
const bind = (snapshot: string, shard = 0, version: string = V1) =>
  ({ kind: "bind", snapshot, shard, node: "node-a", version, address: "127.0.0.1:1" }) satisfies Action;
const good = bind("good");
const bad = bind("bad");
const never = () => false;

describe("a load that kills its process", () => {
  test("is tried again alone and after all others, then left alone for minutes, then for longer", () => {
    const deaths = new BindDeaths();
    deaths.died(bad, 0);
    expect(deaths.admit([bad, good], [], 1, never)).toEqual([good]);
    expect(deaths.admit([bad], [good], 2, never)).toEqual([]);
    expect(deaths.admit([bad, bind("bad", 2)], [], 3, never)).toEqual([bad]);
    expect(deaths.refused(V1, "node-a", 2)).toEqual([]);

    deaths.died(bad, 10);
    expect(deaths.admit([bad, good], [], 11, never)).toEqual([good]);
    expect(deaths.admit([bad], [], 4 * MINUTE, never)).toEqual([]);
    expect(deaths.admit([bad], [], 6 * MINUTE, never)).toEqual([bad]);
    expect(deaths.refused(V1, "node-a", 2)).toMatchObject([
      { shard: 0, snapshot: "bad", reason: "its process died 2 times while it loaded this snapshot" },
      { shard: 1, snapshot: "bad" },
    ]);
    deaths.died(bad, 6 * MINUTE);
    expect(deaths.admit([bad], [], 12 * MINUTE, never)).toEqual([]);
    expect(deaths.admit([bad], [], 17 * MINUTE, never)).toEqual([bad]);
  });

  test("holds nothing else up beside it, but nothing is bound to its process while it is tried", () => {
    const deaths = new BindDeaths();
    deaths.died(bad, 0);
    const elsewhere = bind("good", 0, V2);
    expect(deaths.admit([good, elsewhere], [bad], 1, never)).toEqual([elsewhere]);
  });

  test("an innocent one that was bound at the same moment is cleared by its next bind", () => {
    const deaths = new BindDeaths();
    deaths.died(bad, 0);
    deaths.died(good, 0);
    expect(deaths.admit([bad, good], [], 1, never)).toEqual([bad]);
    deaths.died(bad, 2);
    expect(deaths.admit([bad, good], [], 3, never)).toEqual([good]);
    deaths.lived(good);
    expect([...deaths.reasons().keys()]).toEqual(["bad"]);
    expect(deaths.admit([good], [good], 4, never)).toEqual([good]);
  });

  test("is not kept waiting by a bind that only fails", () => {
    const deaths = new BindDeaths();
    deaths.died(bad, 0);
    expect(deaths.admit([bad, good], [], 1, (other) => other === good)).toEqual([good, bad]);
  });
});
