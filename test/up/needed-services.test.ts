import { create } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import type { GatewayStatus, ObservedMesh, ServiceStatus } from "../../src/lifecycle/observed-mesh.ts";
import { shardsOf } from "../../src/up/child/child-specs.ts";
import { neededServices } from "../../src/up/child/needed-services.ts";
import { emptyControlState } from "../../src/up/control/control-state.ts";
import { takeManifest } from "../../src/up/control/wishes.ts";
import { RouteTableSchema } from "../../src/wire/generated/skynetes/v1/table_pb.ts";
import { DELAY, manifestFixture, snapshotFixture, V1, V2 } from "./mesh-fixture.ts";

const manifest = manifestFixture({}, [snapshotFixture("a", V2)]);
const state = takeManifest(emptyControlState("flights", 4, 0), manifest, 0);
const tableOf = (version: string, epoch: bigint) =>
  create(RouteTableSchema, { epoch, snapshots: [{ id: "a", bindings: [{ service: DELAY, version }] }] });

const NEW = [`node-a/${V2}`, `node-b/${V2}`];
const BOTH = [`node-a/${V1}`, `node-b/${V1}`, ...NEW];

function holding(snapshots: readonly string[]): ServiceStatus {
  const bound = snapshots.map((snapshot) => ({ shard: 0, snapshot, stateDigest: "d", serviceVersion: V1 }));
  const rest = { service: DELAY, descriptors: new Uint8Array(), converse: false, refused: [] };
  return { kind: "up", instance: "1", address: "127.0.0.1:1", bound, ...rest };
}

function seen(v1: ServiceStatus, gateway: Partial<GatewayStatus> | undefined, leaseAlive = true): ObservedMesh {
  const status = gateway && { instance: "1", epoch: 2n, inUse: [], verified: [], ...gateway };
  return {
    nowMs: 0,
    snapshots: state.snapshots,
    table: undefined,
    floors: [],
    lastDueMs: 0,
    nodes: [],
    services: ["node-a", "node-b"].map((node) => ({ version: V1, node, status: v1 })),
    seals: [],
    gateways: [{ name: "gateway", leaseAlive, status }],
  };
}

const names = (table?: Parameters<typeof neededServices>[2], observed?: ObservedMesh) =>
  neededServices(manifest, state, table, observed).map(({ node, version }) => `${node}/${version.name}`);

describe("the service processes of a mesh", () => {
  test("a version that nothing binds has no process, one that the table still names has", () => {
    expect(names()).toEqual(NEW);
    expect(names(tableOf(V1, 1n))).toEqual(BOTH);
  });

  test("a node without shards runs nothing", () => {
    const one = manifestFixture({ placements: [["node-a"], ["node-a"], ["node-a"], ["node-a"]] }, manifest.snapshots);
    expect(shardsOf(one, "node-b")).toEqual([]);
    expect(neededServices(one, state, undefined, undefined).map(({ node }) => node)).toEqual(["node-a"]);
  });
});

describe("a version that has just left the table", () => {
  const moved = tableOf(V2, 2n);

  test("keeps its processes while they hold a snapshot: the plan unbinds when nobody can use it", () => {
    expect(names(moved, seen(holding(["a"]), {}))).toEqual(BOTH);
  });

  test("keeps them while a gateway has not taken the new table, though they did not say what they hold", () => {
    const busy: ServiceStatus = { kind: "down", reason: "no answer within 3 s" };
    expect(names(moved, seen(busy, { epoch: 1n }))).toEqual(BOTH);
    expect(names(moved, seen(busy, undefined))).toEqual(BOTH);
    expect(names(moved, seen(busy, { inUse: [{ snapshot: "a", version: V1, queries: 1 }] }))).toEqual(BOTH);
  });

  test("loses them when nothing is bound and nobody can ask", () => {
    expect(names(moved, seen(holding([]), { inUse: [{ snapshot: "a", version: V2, queries: 3 }] }))).toEqual(NEW);
    expect(names(moved, seen({ kind: "down", reason: "exited" }, undefined, false))).toEqual(NEW);
  });
});
