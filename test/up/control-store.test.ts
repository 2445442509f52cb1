import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { create } from "@bufbuild/protobuf";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { ServiceVersionName } from "../../src/mesh/service-version.ts";
import {
  type ControlState,
  controlStateFromText,
  controlStateToText,
  emptyControlState,
} from "../../src/up/control/control-state.ts";
import { ControlStore } from "../../src/up/control/control-store.ts";
import { dataDirectory } from "../../src/up/control/data-directory.ts";
import { RouteTableSchema } from "../../src/wire/generated/skynetes/v1/table_pb.ts";

const MESH = { name: "flights", shards: 4 };
let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "skynetes-store-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const open = () => ControlStore.open(dataDirectory(root), MESH, 0);
const table = (epoch: bigint) => create(RouteTableSchema, { mesh: "flights", epoch });

const position = fc.record({
  topic: fc.string({ minLength: 1 }),
  topicId: fc.uuid(),
  partition: fc.nat(100),
  position: fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }),
});
const bindings = fc.array(
  fc.record({
    service: fc.constant("a.B"),
    version: fc.constant("b-v1-0a1b2c3d" as ServiceVersionName),
  }),
);
const state: fc.Arbitrary<ControlState> = fc.record({
  mesh: fc.string(),
  shards: fc.nat(),
  seeded: fc.array(fc.string()),
  snapshots: fc.array(
    fc.record({
      id: fc.string(),
      asOfMs: fc.option(fc.integer(), { nil: undefined }),
      allowInexactAsOf: fc.boolean(),
      cut: fc.option(
        fc.record({
          positions: fc.uniqueArray(position, { maxLength: 1 }),
          fixedAtMs: fc.nat(),
          inexactTopics: fc.array(fc.string()),
        }),
        { nil: undefined },
      ),
      bindings,
      pinned: fc.boolean(),
      retiring: fc.boolean(),
      scheduled: fc.boolean(),
      createdAtMs: fc.nat(),
    }),
  ),
  fromManifest: fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), bindings),
  placements: fc.array(
    fc.record({
      shard: fc.nat(),
      node: fc.string(),
      phase: fc.constantFrom("Placed" as const, "Joining" as const, "Leaving" as const, "Removing" as const),
    }),
  ),
  placementsFromManifest: fc.array(fc.array(fc.string())),
  quarantined: fc.array(
    fc.record({
      shard: fc.nat(),
      node: fc.string(),
      snapshot: fc.string(),
      stateDigest: fc.string(),
      expected: fc.string(),
      tables: fc.array(fc.string()),
      sinceMs: fc.nat(),
      rebuilt: fc.boolean(),
    }),
  ),
  retired: fc.array(fc.string()),
  retirements: fc.array(
    fc.record({
      id: fc.string(),
      retirement: fc.option(
        fc.record({ atMs: fc.nat(), why: fc.constantFrom("Person" as const, "Keep" as const, "KeepFor" as const) }),
        { nil: undefined },
      ),
    }),
  ),
  lastDueMs: fc.nat(),
});

describe("control files", () => {
  test("what is written is read back, positions beyond 2^53 included", () => {
    fc.assert(
      fc.property(state, (written) => {
        const read = controlStateFromText(controlStateToText(written), "state.json");
        expect(read).toEqual(written);
      }),
    );
  });

  test("a file from before reasons were kept tells the newest of the retired, without one", () => {
    const { retirements: _, ...old } = { ...emptyControlState("flights", 4, 0), retired: ["b", "a"] };
    const text = JSON.stringify({ format: 1, ...old });
    expect(controlStateFromText(text, "state.json")).toMatchObject({
      retired: ["b", "a"],
      retirements: [
        { id: "a", retirement: undefined },
        { id: "b", retirement: undefined },
      ],
    });
  });

  test("a change is on disk when update returns, and is there after a restart", () => {
    open().update((s) => ({ ...s, seeded: ["flights"] }));
    expect(open().state.seeded).toEqual(["flights"]);
  });

  test("what could not be written is not seen: neither a wish nor a table", () => {
    const store = open();
    store.update((s) => ({ ...s, seeded: ["flights"] }));
    store.publish(table(1n), []);
    const control = dirname(dataDirectory(root).stateFile);
    rmSync(control, { recursive: true });
    writeFileSync(control, "no directory");
    expect(() => store.update((s) => ({ ...s, seeded: ["flights", "airports"] }))).toThrow();
    expect(store.state.seeded).toEqual(["flights"]);
    expect(() => store.publish(table(2n), [])).toThrow();
    expect(store.published.table?.epoch).toBe(1n);
  });

  test("a file that is damaged is refused and named, never taken for an empty one", () => {
    open().update((s) => ({ ...s, seeded: ["flights"] }));
    const file = dataDirectory(root).stateFile;
    const text = readFileSync(file, "utf8");
    writeFileSync(file, text.slice(0, -10));
    expect(open).toThrow(`read ${file}`);
    writeFileSync(file, text.replace('"shards": 4', '"shards": "4"'));
    expect(open).toThrow('shards: expected a number, found "4"');
  });

  test("a data directory of another mesh is refused", () => {
    open().update((s) => ({ ...s, seeded: ["flights"] }));
    expect(() => ControlStore.open(dataDirectory(root), { name: "flights", shards: 8 }, 0)).toThrow(
      'it holds mesh "flights" with 4 shards, the manifest describes "flights" with 8',
    );
  });

  test("epochs only grow, over restarts too", () => {
    const store = open();
    store.publish(table(1n), []);
    store.publish(table(2n), [{ service: "a.B", cut: [] }]);
    expect(() => store.publish(table(2n), [])).toThrow("table 2 is published already");
    const again = open();
    expect(again.published.table?.epoch).toBe(2n);
    expect(again.published.floors).toEqual([{ service: "a.B", cut: [] }]);
    expect(() => again.publish(table(1n), [])).toThrow("table 2 is published already");
  });
});
