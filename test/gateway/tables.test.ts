import { clone, create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { directFiles } from "../../src/archive/direct-files.ts";
import { Fault } from "../../src/fault/fault.ts";
import { readSeal, writeSeal } from "../../src/seal/seal-file.ts";
import { ReplicaManifestSchema } from "../../src/wire/generated/skynetes/v1/seal_pb.ts";
import {
  RetiredSnapshotSchema,
  RetireReason,
  type RouteTable,
  RouteTableSchema,
  type SnapshotRoute,
} from "../../src/wire/generated/skynetes/v1/table_pb.ts";
import { probeService } from "./probe-service.ts";
import { type ScriptedMesh, SERVICE, scriptedMesh, sealedSnapshot, V1, V2 } from "./scripted-mesh.ts";

let mesh: ScriptedMesh;
beforeEach(async () => {
  mesh = await scriptedMesh();
});
afterEach(() => mesh.close());

const next = (change: (table: RouteTable) => void = () => {}): RouteTable => {
  const table = clone(RouteTableSchema, mesh.table);
  table.epoch++;
  change(table);
  return table;
};
const refusal = async (work: Promise<unknown>): Promise<Fault> => {
  const error = await work.then(
    () => undefined,
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(Fault);
  return error as Fault;
};
const raw = (table: RouteTable) => mesh.admin.applyTable({ table }, { timeoutMs: 5_000 });
const status = () => mesh.admin.getGatewayStatus({}, { timeoutMs: 5_000 });
const problemId = (reply: { json: { type: string } }) => reply.json.type.replace("https://skynetes.io/problems/", "");

describe("epochs", () => {
  test("before the first table nothing is answered and the gateway is not ready", async () => {
    const fresh = await scriptedMesh({ unapplied: true });
    try {
      expect((await fresh.get("/healthz")).status).toBe(200);
      const ready = await fresh.get("/readyz");
      expect([ready.status, problemId(ready)]).toEqual([503, "not-ready"]);
      expect((await fresh.echo()).status).toBe(503);
      expect((await fresh.admin.getGatewayStatus({}, { timeoutMs: 5_000 })).epoch).toBe(0n);
      await fresh.apply(fresh.table);
      expect((await fresh.get("/readyz")).json).toEqual({ status: "ready", epoch: "1" });
    } finally {
      await fresh.close();
    }
  });

  test("the same table is acknowledged again; another one under its epoch, and an older one, are refused", async () => {
    expect((await raw(mesh.table)).epoch).toBe(1n);
    const other = clone(RouteTableSchema, mesh.table);
    other.latest = [];
    expect((await refusal(raw(other))).id).toBe("table-conflict");
    await mesh.apply(next());
    const older = clone(RouteTableSchema, mesh.table);
    older.epoch = 1n;
    expect((await refusal(raw(older))).id).toBe("table-conflict");
    expect((await status()).epoch).toBe(2n);
  });

  test("a client that has seen a later epoch is not answered from an earlier one", async () => {
    const ask = (epoch: string) =>
      mesh.post(`/v1/snapshots/latest/${SERVICE}/Echo`, {}, { headers: { "x-skynetes-at-least": epoch } });
    expect((await ask("1")).status).toBe(200);
    const early = await ask("2");
    expect([early.status, problemId(early), early.json.retryable]).toEqual([503, "table-behind", true]);
    await mesh.apply(next());
    expect((await ask("2")).status).toBe(200);
  });
});

describe("a table that does not load is refused whole, and the old one stays", () => {
  const cases: [string, (table: RouteTable) => void, string][] = [
    ["another mesh", (t) => (t.mesh = "other"), "/mesh"],
    ["a shard missing", (t) => t.shards.splice(1, 1), "/shards"],
    ["a shard twice", (t) => t.shards.push(t.shards[0]!), "/shards"],
    ["a version with a bad name", (t) => (t.versions[0]!.name = "probe"), "/versions/0/name"],
    ["broken descriptors", (t) => (t.versions[0]!.descriptors = new Uint8Array([1, 2, 3])), "/versions/0"],
    [
      "other descriptors under a version's name",
      (t) => (t.versions[1]!.descriptors = probeService((m) => m.push(m[1]!)).set),
      "/versions/1",
    ],
    ["a snapshot id that is a path", (t) => (t.snapshots[0]!.id = "../../etc"), "/snapshots/0/id"],
    ["latest as an id", (t) => (t.snapshots[0]!.id = "latest"), "/snapshots/0/id"],
    ["a snapshot twice", (t) => t.snapshots.push(t.snapshots[0]!), "there twice"],
    ["a seal that is not there", (t) => (t.snapshots[0]!.id = "s9"), "the archive has none"],
    ["a seal with other content", (t) => (t.snapshots[0]!.sealSha256 = "00"), "/snapshots/0/sealSha256"],
    [
      "a binding to no version",
      (t) => (t.snapshots[0]!.bindings[0]!.version = "probe-v9-00000009"),
      "/snapshots/0/bindings/0",
    ],
    ["a service bound twice", (t) => t.snapshots[0]!.bindings.push(t.snapshots[0]!.bindings[0]!), "bound twice"],
    ["a shard that nobody serves", (t) => (t.shards[2]!.placements = []), "no placement of shard 2"],
    [
      "an endpoint without an address",
      (t) => (t.shards[1]!.placements[0]!.endpoints[0]!.address = ""),
      "/shards/1/placements/0/endpoints/0/address",
    ],
    [
      "an address without a port",
      (t) => (t.shards[1]!.placements[0]!.endpoints[0]!.address = "pod-1.mesh"),
      '"pod-1.mesh" is not host:port',
    ],
    ["a node whose name no header holds", (t) => (t.shards[1]!.placements[0]!.node = "knoten-ä"), "placements/0/node"],
    ["latest of what is not bound", (t) => (t.snapshots[1]!.bindings = []), "/latest/0"],
    ["latest going back", (t) => (t.latest[0]!.snapshot = "s1"), "does not contain"],
    ["no epoch", (t) => (t.epoch = 0n), "not positive"],
  ];
  test.each(cases)("%s", async (_name, change, names) => {
    const fault = await refusal(raw(next(change)));
    expect(fault.id).toBe("invalid-table");
    expect(fault.message).toContain(names);
    expect((await status()).epoch).toBe(1n);
    expect((await mesh.echo()).status).toBe(200);
  });

  test("all reasons are told at once", async () => {
    const fault = await refusal(
      raw(
        next((t) => {
          t.snapshots[0]!.bindings[0]!.version = "probe-v9-00000009";
          t.snapshots[1]!.sealSha256 = "00";
        }),
      ),
    );
    expect(fault.message).toMatch(/\/snapshots\/0\/bindings.*\/snapshots\/1\/sealSha256/);
  });

  test("a version that would break the clients of another bound version is refused", async () => {
    const broken = probeService((messages) => {
      messages[2]!.field[0]!.name = "counted";
      messages[2]!.field[0]!.jsonName = "counted";
    });
    const table = next((t) => {
      t.versions.push(
        create(RouteTableSchema, {
          versions: [{ name: "probe-v3-00000003", service: SERVICE, descriptors: broken.set }],
        }).versions[0]!,
      );
      for (const shard of t.shards) {
        for (const p of shard.placements) p.endpoints.push({ ...p.endpoints[0]!, version: "probe-v3-00000003" });
      }
      t.snapshots[1]!.bindings[0]!.version = "probe-v3-00000003";
    });
    const fault = await refusal(raw(table));
    expect(fault.message).toContain("field probe.v1.EchoResponse.rows (1) is now called counted");
  });

  test("a new field and a new method break nobody", async () => {
    const wider = probeService((messages) => {
      const field = { ...messages[0]!.field[0]!, name: "more", jsonName: "more", number: 20 };
      messages[0]!.field.push(field as never);
    });
    await mesh.apply(
      next((t) => {
        t.versions.push(
          create(RouteTableSchema, {
            versions: [{ name: "probe-v3-00000003", service: SERVICE, descriptors: wider.set }],
          }).versions[0]!,
        );
        for (const shard of t.shards) {
          for (const p of shard.placements) p.endpoints.push({ ...p.endpoints[0]!, version: "probe-v3-00000003" });
        }
        t.snapshots[1]!.bindings[0]!.version = "probe-v3-00000003";
      }),
    );
    expect((await mesh.echo({ more: 1 })).status).toBe(200);
    const old = await mesh.echo({ more: 1 }, "", "s1");
    expect([old.status, problemId(old)]).toEqual([400, "invalid-request"]);
  });
});

describe("an id never changes its meaning", () => {
  const sealed = (rows: (shard: number) => bigint, offset = 1n) =>
    sealedSnapshot({ archive: mesh.archive, id: "s1", version: V1, shards: mesh.shards, offset }, rows);
  const asBefore = (shard: number) => BigInt(100 * (shard + 1));
  const without = (id: string) =>
    next(
      (t) =>
        void t.snapshots.splice(
          t.snapshots.findIndex((s) => s.id === id),
          1,
        ),
    );
  const withSnapshot = (route: SnapshotRoute) =>
    next((t) => void t.snapshots.splice(0, t.snapshots.length, route, t.snapshots.at(-1)!));

  test.each<[string, () => Promise<SnapshotRoute>]>([
    ["other rows", () => sealed(() => 7n)],
    ["another cut", () => sealed(asBefore, 2n)],
  ])("a snapshot in use is not replaced by one of %s", async (_name, seal) => {
    const fault = await refusal(raw(withSnapshot(await seal())));
    expect([fault.id, fault.message]).toEqual(["invalid-table", expect.stringContaining("/snapshots/0/sealSha256")]);
    expect(fault.message).toContain("another state");
    expect((await status()).epoch).toBe(1n);
    expect((await mesh.echo({}, "", "s1")).json.completeness.rows.expected).toBe("1000");
  });

  test("a retired id does not come back with another state, and may with its own", async () => {
    await mesh.apply(without("s1"));
    await mesh.apply(next());
    const fault = await refusal(raw(withSnapshot(await sealed(() => 7n))));
    expect(fault.message).toContain("another state");
    expect((await mesh.echo({}, "", "s1")).status).toBe(410);
    await mesh.apply(withSnapshot(await sealed(asBefore)));
    expect((await mesh.echo({}, "", "s1")).status).toBe(200);
  });

  test("a seal that was written anew for the same state is taken", async () => {
    const { seal } = (await readSeal(directFiles(mesh.archive), "s1"))!;
    seal.shardSeals[0]!.replicas.push(create(ReplicaManifestSchema, { node: "node-b", sha256: "00" }));
    const route = { ...mesh.table.snapshots[0]!, sealSha256: await writeSeal(directFiles(mesh.archive), seal) };
    await mesh.apply(withSnapshot(route));
    expect((await mesh.echo({}, "", "s1")).status).toBe(200);
  });
});

describe("a seal that does not fit the table", () => {
  test("one of other shards is refused: what is expected of an answer would be wrong", async () => {
    const fewer = mesh.shards.slice(0, 3);
    const s3 = await sealedSnapshot({ archive: mesh.archive, id: "s3", version: V2, shards: fewer, offset: 3n });
    const fault = await refusal(raw(next((t) => t.snapshots.push(s3))));
    expect(fault.message).toContain("the seal holds shards 0,1,2, the table 0,1,2,3");
    expect((await mesh.echo({}, "", "s3")).status).toBe(404);
  });
});

describe("a snapshot that the table tells to be gone", () => {
  test.each([
    [RetireReason.PERSON, "snapshot-retired", "it was retired by hand at 2001-05-01T00:00:00.000Z"],
    [RetireReason.KEEP, "snapshot-expired", "since newer ones are kept"],
    [RetireReason.KEEP_FOR, "snapshot-expired", "since none is kept so long"],
    [RetireReason.UNSPECIFIED, "snapshot-retired", "it is retired"],
  ])("is answered so by a gateway that never served it: reason %s", async (reason, problem, detail) => {
    const retiredAt = timestampFromMs(Date.UTC(2001, 4));
    await mesh.apply(next((t) => t.retired.push(create(RetiredSnapshotSchema, { id: "gone", retiredAt, reason }))));
    const reply = await mesh.echo({}, "", "gone");
    expect([reply.status, problemId(reply)]).toEqual([410, problem]);
    expect(reply.text).toContain(detail);
    expect((await mesh.echo({}, "", "never")).status).toBe(404);
  });
});

describe("a table that changes under load", () => {
  test("a query keeps the tuple that it began with, and is counted by it", async () => {
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    for (const shard of mesh.allShards) shard.script = { delay: (call) => (call === 1 ? held : Promise.resolve()) };
    const early = mesh.echo({}, "", "latest");
    await mesh.until(() => mesh.shard(0).calls.length === 1, "the early query is under way");

    const s3 = await sealedSnapshot({ archive: mesh.archive, id: "s3", version: V1, shards: mesh.shards, offset: 3n });
    await mesh.apply(
      next((t) => {
        t.snapshots = [s3];
        t.latest[0]!.snapshot = "s3";
      }),
    );
    expect((await status()).inUse).toMatchObject([{ snapshot: "s2", version: V2, queries: 1 }]);
    const late = await mesh.echo({}, "", "latest");
    expect(late.json.snapshot).toEqual({ id: "s3", version: V1 });
    release();
    const reply = await early;
    expect(reply.json.snapshot).toEqual({ id: "s2", version: V2 });
    expect((await status()).inUse).toEqual([]);
    const gone = await mesh.echo({}, "", "s2");
    expect([gone.status, problemId(gone)]).toEqual([410, "snapshot-retired"]);
    expect((await mesh.echo({}, "", "s0")).status).toBe(404);
  });

  test("swaps under continuous load never give an error or a mixed answer", async () => {
    const s3 = await sealedSnapshot({ archive: mesh.archive, id: "s3", version: V1, shards: mesh.shards, offset: 3n });
    let stop = false;
    const seen = new Set<string>();
    const load = Array.from({ length: 4 }, async (_, client) => {
      for (let i = client; !stop; i += 4) {
        const reply = await mesh.echo({ number: String(i) }, "", "latest");
        expect(reply.status, reply.text).toBe(200);
        const { id, version } = reply.json.snapshot;
        expect(version).toBe(id === "s3" ? V1 : V2);
        seen.add(id);
      }
    });
    for (let swap = 0; swap < 8; swap++) {
      await mesh.apply(
        next((t) => {
          if (swap < 4) return;
          t.snapshots = [...t.snapshots.filter((s) => s.id !== "s3"), s3];
          t.latest[0]!.snapshot = "s3";
        }),
      );
    }
    stop = true;
    await Promise.all(load);
    expect(seen.has("s3")).toBe(true);
  });

  test("channels of placements that are gone are closed when their calls have ended", async () => {
    expect((await mesh.echo()).status).toBe(200);
    const replacement = await scriptedMesh({ unapplied: true });
    try {
      await mesh.apply(
        next((t) => {
          for (const p of t.shards[0]!.placements)
            for (const e of p.endpoints) e.address = replacement.shard(0).address;
        }),
      );
      expect((await mesh.echo({ number: "2" })).status).toBe(200);
      expect([mesh.shard(0).calls.length, replacement.shard(0).calls.length]).toEqual([1, 1]);
      await mesh.until(() => mesh.shard(0).connections === 0, "the old connection is closed");
    } finally {
      await replacement.close();
    }
  });
});

test("a query pinned to an old table opens a removed address for itself only", async () => {
  const replacement = await scriptedMesh({ unapplied: true });
  try {
    // The first try fails in the old table; before the second the table has moved the shard elsewhere.
    let failFirst = () => {};
    const swapped = new Promise<void>((resolve) => {
      failFirst = resolve;
    });
    mesh.shard(0).script = {
      before: (call) => (call === 1 ? swapped : Promise.resolve()),
      stamp: (right, call) => (call === 1 ? { ...right, snapshot: "other" } : right),
    };
    const early = mesh.echo();
    await mesh.until(() => mesh.shard(0).calls.length === 1, "the first try is under way");
    await mesh.apply(
      next((t) => {
        for (const p of t.shards[0]!.placements) for (const e of p.endpoints) e.address = replacement.shard(0).address;
      }),
    );
    failFirst();
    expect((await early).status).toBe(200);
    expect(mesh.shard(0).calls.length).toBe(2);
    await mesh.until(() => mesh.shard(0).connections === 0, "the second try's connection is closed");
  } finally {
    await replacement.close();
  }
});

describe("verification through the data path", () => {
  const verify = (table: RouteTable, tuples: { snapshot: string; version: string }[] = []) =>
    mesh.admin.verifyRoutes({ table, tuples }, { timeoutMs: 10_000 });

  test("a table whose shards hold what it says is verified without being applied", async () => {
    const s3 = await sealedSnapshot({ archive: mesh.archive, id: "s3", version: V2, shards: mesh.shards, offset: 3n });
    const table = next((t) => t.snapshots.push(s3));
    expect(await verify(table, [{ snapshot: "s3", version: V2 }])).toMatchObject({ verified: true, failures: [] });
    expect((await mesh.echo({}, "", "s3")).status).toBe(404);
  });

  test("what is not bound, is bound with another state, or is not there at all, is named", async () => {
    mesh.shard(0).digests.delete("s2");
    mesh.shard(1).digests.set("s2", "other");
    mesh.shard(2).stop();
    const { verified, failures } = await verify(next(), [{ snapshot: "s2", version: V2 }]);
    expect(verified).toBe(false);
    expect(failures.map((f) => f.shard)).toEqual([0, 1, 2]);
    expect(failures[1]).toMatchObject({ node: "node-a", answered: { stateDigest: "other" } });
    expect(failures[1]!.reason).toContain("stateDigest");
  });

  test("a tuple that the table does not bind is a failure", async () => {
    const { failures } = await verify(next(), [{ snapshot: "s1", version: V2 }]);
    expect(failures[0]!.reason).toContain("does not bind");
  });
});
