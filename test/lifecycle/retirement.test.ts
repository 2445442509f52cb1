import { describe, expect, test } from "vitest";
import { planMesh } from "../../src/lifecycle/plan-mesh.ts";
import { RETIRE_GRACE_MS } from "../../src/lifecycle/plan-retire.ts";
import { newestRetired, RETIREMENTS_KEPT } from "../../src/lifecycle/retirement.ts";
import type { SnapshotRecord } from "../../src/lifecycle/snapshot-record.ts";
import { RetireReason } from "../../src/wire/generated/skynetes/v1/table_pb.ts";
import { ModelWorld } from "./model-world.ts";
import { binding, DELAY, smallManifest, V1 } from "./small-manifest.ts";

const AT = { atMs: 1_000, why: "Person" } as const;

function serving(): ModelWorld {
  const world = new ModelWorld(smallManifest([["a"], ["b"]]), ["g1"]);
  const rest = { asOfMs: undefined, allowInexactAsOf: false, cut: undefined, pinned: false, retiring: false };
  world.records = [{ ...rest, id: "s1", bindings: [binding(DELAY, V1)], scheduled: false, createdAtMs: 0 }];
  run(world);
  expect(world.table?.snapshots).toHaveLength(1);
  world.nowMs = AT.atMs;
  change(world, { retiring: true, retirement: AT });
  run(world);
  return world;
}

function run(world: ModelWorld): void {
  for (let rounds = 0; rounds < 20; rounds += 1) {
    const { actions } = planMesh(world.manifest, world.observe());
    if (actions.length === 0) return;
    for (const action of actions) world.execute(action);
  }
  throw new Error("does not settle");
}

function change(world: ModelWorld, to: Partial<SnapshotRecord>): void {
  world.records = world.records.map((record) => ({ ...record, ...to }));
}

const frozen = (world: ModelWorld) => world.nodes.map((node) => node.frozen.size);

describe("the grace of a retirement", () => {
  test("in it nothing routes there, and every file stays", () => {
    const world = serving();
    world.nowMs = AT.atMs + RETIRE_GRACE_MS - 1;
    run(world);
    expect([world.table?.snapshots, frozen(world), world.seals.length]).toEqual([[], [1, 1], 1]);
    expect(planMesh(world.manifest, world.observe()).phases[0]?.message).toBe(
      "may be taken back until 1970-01-01T00:00:11.000Z",
    );
    world.nowMs += 1;
    run(world);
    expect([world.records, frozen(world), world.seals]).toEqual([[], [0, 0], []]);
  });

  test("taken back in it, the snapshot serves again with the same seal", () => {
    const world = serving();
    const { sha256 } = world.seals[0]!;
    change(world, { retiring: false, retirement: undefined });
    run(world);
    expect(world.table?.snapshots.map(({ id, sealSha256 }) => [id, sealSha256])).toEqual([["s1", sha256]]);
    expect(world.table?.retired).toEqual([]);
  });

  test("a query that began before it keeps every file, however long it takes", () => {
    const world = serving();
    world.gateways[0]!.queries = [{ snapshot: "s1", version: V1, table: undefined }];
    world.nowMs = AT.atMs + 100 * RETIRE_GRACE_MS;
    run(world);
    expect([frozen(world), world.seals.length]).toEqual([[1, 1], 1]);
    // Nor when the mark was set before a gateway was found to be on it.
    change(world, { doomed: true });
    run(world);
    expect(frozen(world)).toEqual([1, 1]);
    world.gateways[0]!.queries = [];
    run(world);
    expect(world.records).toEqual([]);
  });
});

describe("what the table tells of the retired", () => {
  test("is the same from the wish to long after the end", () => {
    const world = serving();
    const told = world.table?.retired;
    expect(told).toMatchObject([{ id: "s1", retiredAt: { seconds: 1n }, reason: RetireReason.PERSON }]);
    const { epoch } = world.table!;
    world.nowMs = AT.atMs + RETIRE_GRACE_MS;
    run(world);
    expect([world.records, world.table?.retired, world.table?.epoch]).toEqual([[], told, epoch]);
  });

  test("is the newest, in one order, and those of an unknown time are the oldest", () => {
    const many = Array.from({ length: RETIREMENTS_KEPT + 1 }, (_, i) => ({
      id: `s${i}`,
      retirement: { ...AT, atMs: i },
    }));
    expect(newestRetired(many.toReversed())).toEqual(many.slice(1));
    const old = { id: "old", retirement: undefined };
    expect(newestRetired([many[1]!, old])).toEqual([old, many[1]]);
  });
});
