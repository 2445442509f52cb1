import { describe, expect, test } from "vitest";
import { type ControlState, emptyControlState } from "../../src/up/control/control-state.ts";
import {
  bindSnapshot,
  createScheduled,
  createSnapshot,
  danglingBindings,
  doomSnapshot,
  fixCut,
  forgetSnapshot,
  pinSnapshot,
  retireSnapshot,
  takeManifest,
  unretireSnapshot,
} from "../../src/up/control/wishes.ts";
import { DELAY, manifestFixture, NETWORK, snapshotFixture, V1, V2 } from "./mesh-fixture.ts";

const manifest = manifestFixture();
const BY_HAND = { atMs: 7, why: "Person" } as const;
const empty = emptyControlState("flights", 4, 0);
const NOW = Date.UTC(2026, 0, 2, 3, 4, 5);

function wish(id: string | undefined, version = V1 as string) {
  return { id, asOfMs: undefined, bindings: [{ service: DELAY, version }], pinned: false };
}

function created(id: string, state: ControlState = empty): ControlState {
  return createSnapshot(state, wish(id), manifest, NOW).state;
}

const record = (state: ControlState, id: string) => state.snapshots.find((r) => r.id === id);
const cut = { positions: [], fixedAtMs: 1, inexactTopics: [] };

describe("creating a snapshot", () => {
  test.each([
    ["an id that is not one", wish("Not An Id"), "an id is 1 to 63"],
    ["the reserved word", wish("latest"), "an id is 1 to 63"],
    ["a version that the manifest lacks", wish("a", "delay-v9-00000009"), `the manifest has ${V1}, ${V2}`],
    ["a version of another service", wish("a", NETWORK), `${NETWORK} is a version of flights.v1.NetworkService`],
    ["no bindings at all", { ...wish("a"), bindings: [] }, "no bindings given"],
    [
      "a service bound twice",
      { ...wish("a"), bindings: [wish("a").bindings[0]!, { service: DELAY, version: V2 }] },
      "is bound twice",
    ],
  ])("%s is refused", (_, bad, message) => {
    expect(() => createSnapshot(empty, bad, manifest, NOW)).toThrow(message);
  });

  test("an id is used once, also after its snapshot is gone", () => {
    const state = created("a");
    expect(() => created("a", state)).toThrow('create snapshot "a": it exists');
    expect(() => created("a", forgetSnapshot(retireSnapshot(state, "a", BY_HAND), "a"))).toThrow("an id is used once");
  });

  test("without an id one is made from the time, and another in the same second", () => {
    const first = createSnapshot(empty, wish(undefined), manifest, NOW);
    const second = createSnapshot(first.state, wish(undefined), manifest, NOW);
    expect([first.id, second.id]).toEqual(["s-20260102-030405", "s-20260102-030405-2"]);
  });

  test("without bindings it gets those of scheduled snapshots", () => {
    const schedule = { cron: "@hourly", keep: 2, bindings: [{ service: DELAY, version: V2 }] };
    const { state } = createSnapshot(empty, { ...wish("a"), bindings: [] }, manifestFixture({ schedule }), NOW);
    expect(record(state, "a")?.bindings).toEqual(schedule.bindings);
  });
});

describe("changing a snapshot", () => {
  test("binding moves one service and leaves the others", () => {
    const both = createSnapshot(
      empty,
      { ...wish("a"), bindings: [...wish("a").bindings, { service: "flights.v1.NetworkService", version: NETWORK }] },
      manifest,
      NOW,
    ).state;
    const moved = bindSnapshot(both, "a", { service: DELAY, version: V2 }, manifest);
    expect(
      record(moved, "a")
        ?.bindings.map((b) => b.version)
        .toSorted(),
    ).toEqual([V2, NETWORK]);
  });

  test("a snapshot that does not exist, or is being retired, or is gone, says so", () => {
    const retiring = retireSnapshot(created("a"), "a", BY_HAND);
    expect(() => pinSnapshot(empty, "b", true)).toThrow("no such snapshot");
    expect(() => pinSnapshot(retiring, "a", true)).toThrow("it is being retired");
    expect(() => retireSnapshot(forgetSnapshot(retiring, "a"), "a", BY_HAND)).toThrow("it is retired");
    expect(retireSnapshot(retiring, "a", BY_HAND)).toBe(retiring);
  });

  test("a retirement is taken back until its files begin to go, and what the schedule made is pinned then", () => {
    const retiring = retireSnapshot(created("a"), "a", BY_HAND);
    expect(record(retiring, "a")?.retirement).toEqual(BY_HAND);
    expect(unretireSnapshot(retiring, "a", manifest)).toEqual(created("a"));
    expect(unretireSnapshot(created("a"), "a", manifest)).toEqual(created("a"));
    const doomed = doomSnapshot(retiring, "a");
    expect(() => unretireSnapshot(doomed, "a", manifest)).toThrow("its files are being deleted");
    expect(() => unretireSnapshot(forgetSnapshot(doomed, "a"), "a", manifest)).toThrow("it is retired");
    expect(() => unretireSnapshot(retiring, "a", { ...manifest, versions: [] })).toThrow("no service version");
    const scheduled = createScheduled(empty, "s", 5, manifest);
    const back = unretireSnapshot(retireSnapshot(scheduled, "s", { atMs: 9, why: "Keep" }), "s", manifest);
    expect(record(back, "s")).toMatchObject({ retiring: false, pinned: true });
  });

  test("a mark that comes after the wish was taken back marks nothing", () => {
    const back = unretireSnapshot(retireSnapshot(created("a"), "a", BY_HAND), "a", manifest);
    expect(doomSnapshot(back, "a")).toBe(back);
    expect(doomSnapshot(empty, "a")).toBe(empty);
  });

  test("when and why outlives the record, the first reason stays", () => {
    const again = retireSnapshot(retireSnapshot(created("a"), "a", BY_HAND), "a", { atMs: 9, why: "Keep" });
    expect(forgetSnapshot(again, "a").retirements).toEqual([{ id: "a", retirement: BY_HAND }]);
  });

  test("a cut that is fixed never changes", () => {
    const fixed = fixCut(created("a"), "a", cut);
    expect(fixCut(fixed, "a", { ...cut, fixedAtMs: 2 })).toBe(fixed);
  });

  test("a scheduled snapshot is recorded once, whatever is repeated", () => {
    const once = createScheduled(empty, "s", 5, manifest);
    const twice = createScheduled(once, "s", 5, manifest);
    expect(twice.snapshots).toHaveLength(1);
    expect(twice.lastDueMs).toBe(5);
    expect(record(once, "s")).toMatchObject({ scheduled: true, createdAtMs: 5 });
  });
});

describe("the manifest's snapshots", () => {
  const asked = (version: typeof V1) => manifestFixture({}, [snapshotFixture("m", version)]);

  test("a binding moved by hand stays over restarts until the manifest changes", () => {
    const first = takeManifest(empty, asked(V1), NOW);
    const byHand = bindSnapshot(first, "m", { service: DELAY, version: V2 }, manifest);
    expect(record(takeManifest(byHand, asked(V1), NOW), "m")?.bindings[0]?.version).toBe(V2);
    const changed = takeManifest(takeManifest(byHand, asked(V2), NOW), asked(V1), NOW);
    expect(record(changed, "m")?.bindings[0]?.version).toBe(V1);
  });

  test("a cut is kept when the manifest is read again", () => {
    const fixed = fixCut(takeManifest(empty, asked(V1), NOW), "m", cut);
    expect(record(takeManifest(fixed, asked(V2), NOW), "m")?.cut).toEqual(cut);
  });

  test("one that was retired does not come back", () => {
    const gone = forgetSnapshot(retireSnapshot(takeManifest(empty, asked(V1), NOW), "m", BY_HAND), "m");
    expect(takeManifest(gone, asked(V1), NOW).snapshots).toEqual([]);
  });

  test("a version that left the manifest while a snapshot is bound to it is noticed", () => {
    const state = takeManifest(empty, asked(V1), NOW);
    expect(danglingBindings(state, { ...manifest, versions: [] })).toEqual([`m: ${V1}`]);
    expect(danglingBindings(retireSnapshot(state, "m", BY_HAND), { ...manifest, versions: [] })).toEqual([]);
  });
});
