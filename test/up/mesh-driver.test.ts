import { describe, expect, test, vi } from "vitest";
import type { ObservedMesh } from "../../src/lifecycle/observed-mesh.ts";
import type { Manifest } from "../../src/manifest/manifest.ts";
import { type Clock, systemClock } from "../../src/process/clock.ts";
import type { LineLog } from "../../src/process/log-line.ts";
import { type ControlState, emptyControlState } from "../../src/up/control/control-state.ts";
import { createSnapshot, retireSnapshot } from "../../src/up/control/wishes.ts";
import type { ActionParts } from "../../src/up/drive/execute-action.ts";
import { ObservationMemory } from "../../src/up/drive/observe-mesh.ts";
import { MeshDriver } from "../../src/up/mesh-driver.ts";
import { DELAY, manifestFixture, V1 } from "./mesh-fixture.ts";

const NOBODY = { nodes: [], placements: [] };
const TOPIC: Manifest["mesh"]["topics"][number] = {
  name: "flights",
  partitions: 1,
  format: "JSON",
  timestamps: "None",
  seed: undefined,
};

/** A mesh without processes, whose log answers when it is told to, and whose archive stops at `gate` while it is listed. */
function world(
  shards: readonly { shard: number; alarm: string; rejected: bigint }[] = [],
  mesh: Partial<Manifest["mesh"]> = {},
  clock: Clock = systemClock,
) {
  const manifest = manifestFixture({ ...NOBODY, topics: [TOPIC], ...mesh });
  const wish = { id: "a", asOfMs: undefined, bindings: [{ service: DELAY, version: V1 }], pinned: false };
  const placements = [{ shard: 0, node: "node-a", phase: "Placed" as const }];
  const empty = { ...emptyControlState("flights", 0, 0), placements };
  let state: ControlState = createSnapshot(empty, wish, manifest, 0).state;
  const log = Promise.withResolvers<never>();
  let gate: { readonly reached: () => void; readonly opened: Promise<void> } | undefined;
  const seen: (ObservedMesh & { readonly planned: readonly string[] })[] = [];
  const store = {
    get state() {
      return state;
    },
    published: { table: undefined, floors: [] },
    update: (change: (before: ControlState) => ControlState) => {
      state = change(state);
    },
  };
  const lines: string[] = [];
  const report: LineLog = { line: (level, message) => void lines.push(`${level}: ${message}`), of: () => report };
  const node = {
    getNodeStatus: async () => ({ instance: "1", shards: shards.map((s) => ({ ...s, frozen: [], lags: [] })) }),
  };
  const parts = {
    manifest,
    clock,
    store,
    children: {
      keepServices: () => {},
      keepNodes: () => {},
      state: (name: string) => (name === "node-a" ? { kind: "ready", addresses: {} } : undefined),
    },
    clients: { node: () => node },
    memory: new ObservationMemory(),
    log: { describeTopic: () => log.promise },
    seals: {
      list: async () => {
        gate?.reached();
        await gate?.opened;
        return [];
      },
    },
  };
  const driver = new MeshDriver({
    parts: parts as unknown as ActionParts,
    report,
    onPlaced: () => {},
    onPlan: ({ actions }, observed) => void seen.push({ ...observed, planned: actions.map(({ kind }) => kind) }),
  });
  return {
    driver,
    seen,
    lines,
    retire: () => store.update((before) => retireSnapshot(before, "a", { atMs: 0, why: "Person" })),
    /** Resolves when the next round waits there. */
    holdArchiveUntil: (opened: Promise<void>) => new Promise<void>((reached) => (gate = { reached, opened })),
    endCut: () => log.reject(new Error("the log is gone")),
    records: () => state.snapshots.map(({ id }) => id),
  };
}

/** A mesh in which nothing is done is looked at every second. */
const WAIT = { timeout: 20_000 };

describe("the driver's loop", () => {
  test("tells the plan what still runs, also when it ends while the mesh is looked at", async () => {
    const { driver, seen, retire, holdArchiveUntil, endCut, records } = world();
    driver.start();
    await vi.waitFor(() => expect(seen.at(-1)?.underWay).toMatchObject([{ kind: "cut", snapshot: "a" }]), WAIT);

    const archive = Promise.withResolvers<void>();
    await holdArchiveUntil(archive.promise);
    const before = seen.length;
    retire();
    endCut();
    await new Promise(setImmediate);
    archive.resolve();
    await vi.waitFor(() => expect(seen.length).toBeGreaterThan(before), WAIT);
    expect(seen[before]?.underWay).toMatchObject([{ kind: "cut", snapshot: "a" }]);
    expect(seen[before]?.snapshots).toMatchObject([{ id: "a", retiring: true }]);
    expect(seen[before]?.planned).not.toContain("forget");

    // In a mesh where nothing runs any more, nothing is left to wait for.
    await vi.waitFor(() => expect(records()).toEqual([]), WAIT);
    await driver.stop();
  });

  test("looks again at the next moment of the schedule, not at the next poll", async () => {
    const slept: number[] = [];
    const clock: Clock = {
      ...systemClock,
      now: () => Date.parse("2001-01-01T00:00:00.900Z"),
      after: (ms, work) => {
        slept.push(ms);
        return systemClock.after(ms, work);
      },
    };
    const { driver, endCut } = world([], { schedule: { cron: "* * * * * *", keep: 2, bindings: [] } }, clock);
    driver.start();
    await vi.waitFor(() => expect(slept).toContain(101), WAIT);
    endCut();
    await driver.stop();
    expect(Math.max(...slept)).toBeLessThanOrEqual(101);
  });

  test("tells a person of a shard that cannot go on, once, and shows it in the plan", async () => {
    const { driver, seen, lines, endCut } = world([{ shard: 3, alarm: "data-corrupt: flights/3@7", rejected: 2n }]);
    driver.start();
    await vi.waitFor(() => expect(seen.length).toBeGreaterThanOrEqual(3), WAIT);
    expect(lines.filter((line) => line.startsWith("warn: shard"))).toEqual([
      "warn: shard 3 on node-a: data-corrupt: flights/3@7",
      "warn: shard 3 on node-a: 2 records could not be decoded and are in no answer",
    ]);
    expect(driver.plan?.waiting).toContainEqual({
      snapshot: undefined,
      reason: "shard 3 on node-a: data-corrupt: flights/3@7",
    });
    endCut();
    await driver.stop();
  });
});
