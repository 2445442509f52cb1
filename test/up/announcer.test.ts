import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { planMesh } from "../../src/lifecycle/plan-mesh.ts";
import type { SnapshotRecord } from "../../src/lifecycle/snapshot-record.ts";
import { Announcer, type AnnouncerParts, type UnservedSnapshots } from "../../src/up/announcer.ts";
import { BindDeaths } from "../../src/up/drive/bind-deaths.ts";
import { ModelWorld } from "../lifecycle/model-world.ts";
import { binding, DELAY, smallManifest, V1, V2 } from "../lifecycle/small-manifest.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "skynetes-announcer-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function wish(id: string, version: typeof V1): SnapshotRecord {
  const rest = { asOfMs: undefined, allowInexactAsOf: false, cut: undefined, pinned: false, retiring: false };
  return { ...rest, id, bindings: [binding(DELAY, version)], scheduled: false, createdAtMs: 0 };
}

test("a snapshot that kills its processes is announced as failed when no process will be killed any more", () => {
  const world = new ModelWorld(smallManifest([["a"], ["b"]]), ["gateway"]);
  world.records = [wish("good", V1), wish("bad", V2)];
  for (;;) {
    const { actions } = planMesh(world.manifest, world.observe());
    const possible = actions.filter((action) => !(action.kind === "bind" && action.snapshot === "bad"));
    if (possible.length === 0) break;
    for (const action of possible) world.execute(action);
  }

  const announced: string[] = [];
  const deaths = new BindDeaths();
  const announcer = new Announcer({
    config: {
      manifest: world.manifest,
      onServing: (_: unknown, { failed }: UnservedSnapshots) => void announced.push(...failed.keys()),
    },
    store: { state: { fromManifest: { good: "", bad: "" } } },
    children: { state: () => ({ kind: "ready", pid: 1, addresses: { http: "h", grpc: "g" } }) },
    deaths,
    controlAddress: "c",
    file: join(directory, "endpoints.json"),
  } as unknown as AnnouncerParts);
  const look = () => {
    const observed = world.observe();
    announcer.served(planMesh(world.manifest, observed), observed, []);
  };
  const died = (node: string, shard: number) =>
    deaths.died({ kind: "bind", snapshot: "bad", shard, node, version: V2, address: "" }, 0);

  for (const [node, shard] of [
    ["a", 0],
    ["b", 1],
    ["a", 0],
  ] as const)
    died(node, shard);
  look();
  expect(announced, "b is tried once more").toEqual([]);
  died("b", 1);
  look();
  expect(announced).toEqual(["bad"]);
});
