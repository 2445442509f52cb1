import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Metadata } from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Log } from "../../src/log/log.ts";
import type { Cut } from "../../src/mesh/cut.ts";
import { systemClock } from "../../src/process/clock.ts";
import { controlHandlers } from "../../src/up/control/control-handlers.ts";
import { ControlStore } from "../../src/up/control/control-store.ts";
import { dataDirectory } from "../../src/up/control/data-directory.ts";
import { SnapshotPhase } from "../../src/wire/generated/skynetes/v1/control_pb.ts";
import { RetireReason } from "../../src/wire/generated/skynetes/v1/table_pb.ts";
import { DELAY, manifestFixture, V1, V2 } from "./mesh-fixture.ts";

const manifest = manifestFixture({
  topics: [{ name: "flights", partitions: 2, format: "JSON", timestamps: "NonDecreasing", seed: undefined }],
});
/** Two partitions of 10 and 20 records, of which the second has not passed the year 2002. */
const log = {
  describeTopic: async (name: string) => ({ name, id: "t-1", partitions: 2 }),
  bounds: async (_: string, partition: number) => ({ start: 0n, bound: partition === 0 ? 10n : 20n }),
  offsetsForTime: async (_: string, ms: number) => (ms < Date.UTC(2002) ? [4n, 7n] : [9n, undefined]),
} as unknown as Log;
const call = { signal: new AbortController().signal, metadata: new Metadata() };
const binding = { service: DELAY, version: V1 };

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "skynetes-control-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const open = () => ControlStore.open(dataDirectory(root), manifest.mesh, 0);

function control(seeded = true, committed: Cut = []) {
  const store = open();
  const wake = vi.fn();
  const view = { seeded: () => seeded, phase: () => undefined, planText: () => "the plan", committed: () => committed };
  return {
    wake,
    handlers: controlHandlers({ manifest, store, log, clock: systemClock, view, wake, rejects: async () => [] }),
  };
}

const request = (over: object) => ({ id: "a", bindings: [binding], pinned: false, ...over }) as never;

describe("control service", () => {
  test("a snapshot has its cut on disk before the call returns, and the driver is woken", async () => {
    const { handlers, wake } = control();
    const { snapshot } = await handlers.createSnapshot(request({}), call);
    expect(open().state.snapshots[0]).toMatchObject({
      id: "a",
      cut: {
        positions: [
          { partition: 0, position: 10n },
          { partition: 1, position: 20n },
        ],
      },
    });
    expect(snapshot?.id).toBe("a");
    expect(wake).toHaveBeenCalled();
  });

  test.each([
    ["now", undefined],
    ["as of a time", timestampFromMs(Date.UTC(2001, 5))],
  ])("a log that ends before what a node holds makes no snapshot that silently lacks records: %s", async (_, asOf) => {
    const held = (position: bigint, topicId = "t-1") =>
      control(true, [{ topic: "flights", topicId, partition: 1, position }]).handlers;
    await expect(held(21n).createSnapshot(request({ asOf }), call)).rejects.toMatchObject({
      id: "log-truncated",
      message: expect.stringContaining("flights/1 ends at 20 in the log, and a node holds it to 21"),
    });
    expect(open().state.snapshots).toEqual([]);
    await held(21n, "of-the-topic-before").createSnapshot(request({ asOf, id: "b" }), call);
    await held(20n).createSnapshot(request({ asOf }), call);
  });

  test("as of a time, the cut is before the first record at or after it", async () => {
    await control().handlers.createSnapshot(request({ asOf: timestampFromMs(Date.UTC(2001, 5)) }), call);
    expect(open().state.snapshots[0]?.cut?.positions.map((p) => p.position)).toEqual([4n, 7n]);
  });

  test("a time that some partition has not passed is refused, and nothing is recorded", async () => {
    const asOf = timestampFromMs(Date.UTC(2003));
    await expect(control().handlers.createSnapshot(request({ asOf }), call)).rejects.toMatchObject({
      id: "cut-not-reached",
      message: expect.stringContaining("flights/1"),
    });
    expect(open().state.snapshots).toEqual([]);
  });

  test("of two that want one id at the same time, one gets it", async () => {
    const { handlers } = control();
    const both = await Promise.allSettled([
      handlers.createSnapshot(request({}), call),
      handlers.createSnapshot(request({}), call),
    ]);
    expect(both.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
    expect(open().state.snapshots).toHaveLength(1);
  });

  test("while the seeds are loaded no cut would hold all of them", async () => {
    await expect(control(false).handlers.createSnapshot(request({}), call)).rejects.toMatchObject({ id: "not-ready" });
  });

  test("bind, pin and retire are durable when they return", async () => {
    const { handlers } = control();
    await handlers.createSnapshot(request({}), call);
    await handlers.bindSnapshot({ id: "a", binding: { service: DELAY, version: V2 } } as never, call);
    await handlers.pinSnapshot({ id: "a", pinned: true } as never, call);
    await handlers.retireSnapshot({ id: "a" } as never, call);
    expect(open().state.snapshots[0]).toMatchObject({
      bindings: [{ service: DELAY, version: V2 }],
      pinned: true,
      retiring: true,
      retirement: { why: "Person" },
    });
    await handlers.retireSnapshot({ id: "a", undo: true } as never, call);
    expect(open().state.snapshots[0]).toMatchObject({ retiring: false });
  });

  test("what is gone is listed on request, with its time and its reason", async () => {
    const store = open();
    const retirement = { atMs: 1_000, why: "KeepFor" } as const;
    store.update((state) => ({ ...state, retired: ["old"], retirements: [{ id: "old", retirement }] }));
    const { handlers } = control();
    const told = {
      id: "old",
      phase: SnapshotPhase.RETIRED,
      retiredAt: { seconds: 1n },
      retireReason: RetireReason.KEEP_FOR,
    };
    expect(handlers.listControlledSnapshots({ retired: true } as never, call)).toMatchObject({ snapshots: [told] });
    expect(handlers.listControlledSnapshots({ retired: false } as never, call)).toEqual({ snapshots: [] });
    expect(handlers.getSnapshot({ id: "old" } as never, call)).toMatchObject({ snapshot: told });
  });

  test("an unknown snapshot is unknown", () => {
    expect(() => control().handlers.getSnapshot({ id: "b" } as never, call)).toThrow("no such snapshot");
  });
});
