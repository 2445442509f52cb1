import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { systemClock } from "../../src/process/clock.ts";
import {
  GATEWAY_LEASE_MS,
  ObservationMemory,
  type ObserveParts,
  observeMesh,
} from "../../src/up/drive/observe-mesh.ts";
import { RouteTableSchema } from "../../src/wire/generated/skynetes/v1/table_pb.ts";

const at = (partition: number, position: bigint, topicId = "t-1") => ({
  topic: "flights",
  topicId,
  partition,
  position,
});

const NO_WISHES = { snapshots: [], retired: [], quarantined: [] };

/** A mesh of two nodes that say they hold `positions`. */
function observing(memory: ObservationMemory, positions: readonly (readonly ReturnType<typeof at>[])[]) {
  const at01 = [0, 1].map((shard) => ({ shard, node: `n${shard}`, phase: "Placed" }));
  const status = (shard: number) => ({
    shard,
    position: { positions: positions[shard] },
    frozen: [],
    lags: [],
    alarm: "",
  });
  const parts = {
    clock: systemClock,
    store: { state: { ...NO_WISHES, placements: at01 }, published: { table: undefined, floors: [] } },
    children: {
      state: (name: string) => (name.startsWith("n") ? { kind: "ready", addresses: { address: name } } : undefined),
    },
    clients: {
      node: (name: string) => ({
        getNodeStatus: async () => ({ instance: name, shards: [status(Number(name.slice(1)))] }),
      }),
    },
    memory,
  };
  return observeMesh(parts as unknown as ObserveParts, [], [], []);
}

test("the furthest that a node ever said it holds is remembered, of the topic that is there now", async () => {
  const memory = new ObservationMemory();
  await observing(memory, [[at(0, 10n)], [at(0, 7n), at(1, 5n)]]);
  await observing(memory, [[at(0, 8n)], [at(1, 6n)]]);
  expect(memory.committed).toEqual([at(0, 10n), at(1, 6n)]);
  await observing(memory, [[at(0, 2n, "t-2")], []]);
  expect(memory.committed).toEqual([at(0, 2n, "t-2"), at(1, 6n)]);
});

/** A mesh of one gateway, under a table that names snapshot `s` with version `v2`. */
class GatewayMesh {
  nowMs = 0;
  process = true;
  /** Absent: it does not answer. */
  status: { epoch: bigint; inUse: readonly { snapshot: string; version: string; queries: number }[] } | undefined;
  readonly #memory = new ObservationMemory();

  async observe() {
    const bindings = [{ service: "p.S", version: "v2" }];
    const table = create(RouteTableSchema, { epoch: 7n, snapshots: [{ id: "s", bindings }] });
    const parts = {
      clock: { now: () => this.nowMs, monotonic: () => this.nowMs },
      store: { state: { ...NO_WISHES, placements: [] }, published: { table, floors: [] } },
      children: { state: () => (this.process ? { kind: "ready", addresses: { admin: "g" } } : undefined) },
      clients: {
        gateway: () => ({
          getGatewayStatus: async () => {
            if (this.status === undefined) throw new Error("no answer");
            return { instance: "1", differences: [], ...this.status };
          },
        }),
      },
      memory: this.#memory,
    };
    const { gateways } = await observeMesh(parts as unknown as ObserveParts, [], [], []);
    return gateways[0];
  }
}

test("a gateway that was silent for longer than its lease has one again with the table in force, drained of all else", async () => {
  const mesh = new GatewayMesh();
  const on = (version: string, queries = 1) => [{ snapshot: "s", version, queries }];
  mesh.status = { epoch: 6n, inUse: on("v1") };
  expect(await mesh.observe()).toMatchObject({ leaseAlive: true, status: { epoch: 6n } });

  const answering = mesh.status;
  mesh.status = undefined;
  mesh.nowMs += GATEWAY_LEASE_MS - 1;
  expect((await mesh.observe())?.leaseAlive).toBe(true);
  mesh.status = answering;
  expect((await mesh.observe())?.leaseAlive, "silent, and back in time").toBe(true);

  mesh.status = undefined;
  mesh.nowMs += GATEWAY_LEASE_MS;
  expect((await mesh.observe())?.leaseAlive).toBe(false);
  mesh.status = { epoch: 6n, inUse: [] };
  expect(await mesh.observe(), "told, so that it gets the table").toMatchObject({ leaseAlive: false, status: {} });
  mesh.status = { epoch: 7n, inUse: [...on("v2"), ...on("v1")] };
  expect((await mesh.observe())?.leaseAlive).toBe(false);
  mesh.status = { epoch: 7n, inUse: [...on("v2"), ...on("v1", 0)] };
  expect((await mesh.observe())?.leaseAlive).toBe(true);
});

test("a gateway that was started again has lost no lease", async () => {
  const mesh = new GatewayMesh();
  mesh.status = { epoch: 7n, inUse: [] };
  await mesh.observe();
  mesh.status = undefined;
  mesh.nowMs += GATEWAY_LEASE_MS;
  expect((await mesh.observe())?.leaseAlive).toBe(false);
  mesh.process = false;
  expect((await mesh.observe())?.leaseAlive).toBe(false);
  mesh.process = true;
  mesh.status = { epoch: 0n, inUse: [] };
  expect((await mesh.observe())?.leaseAlive).toBe(true);
});
