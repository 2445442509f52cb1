/** How a gateway decides between packed streams and unary gRPC, and proves a stream before it is used. */
import { clone } from "@bufbuild/protobuf";
import { afterEach, describe, expect, test } from "vitest";
import { type RunningTelemetry, startTelemetry } from "../../src/telemetry/start-telemetry.ts";
import { type RouteTable, RouteTableSchema } from "../../src/wire/generated/skynetes/v1/table_pb.ts";
import { type MeshOptions, type ScriptedMesh, SERVICE, scriptedMesh, V2 } from "./scripted-mesh.ts";
import type { ShardScript } from "./scripted-shard.ts";

let mesh: ScriptedMesh;
let telemetry: RunningTelemetry | undefined;
afterEach(async () => {
  await mesh.close();
  await telemetry?.close();
  telemetry = undefined;
});
const start = async (options?: MeshOptions) => {
  mesh = await scriptedMesh({ converse: true, everyQueryScatters: true, ...options });
};
const streamsOf = () => mesh.allShards.map(({ streams }) => streams.length);
const UNSPOKEN = () => ({ code: 12, details: "no such method" });

describe("which way calls go", () => {
  test("by one stream for each pod, whatever the number of calls", async () => {
    await start();
    for (let i = 0; i < 5; i++) expect((await mesh.echo()).json.answer.rows).toBe("4");
    expect(streamsOf()).toEqual([1, 1, 1, 1]);
    expect(mesh.shard(2).streams[0]?.calls.length).toBe(5);
  });

  test("by unary gRPC when the gateway is told so, or the table does not say that it is spoken", async () => {
    await start({ transport: "unary" });
    expect((await mesh.echo()).status).toBe(200);
    expect(streamsOf()).toEqual([0, 0, 0, 0]);
    await mesh.close();
    await start({ converse: false });
    expect((await mesh.echo()).status).toBe(200);
    expect(streamsOf()).toEqual([0, 0, 0, 0]);
  });

  test("as the table in use says, also when only that changes", async () => {
    await start({ converse: false });
    await mesh.echo();
    await mesh.apply(withConverse(true));
    await mesh.echo();
    expect(streamsOf()).toEqual([1, 1, 1, 1]);
    await mesh.apply(withConverse(false));
    await mesh.echo();
    expect(mesh.shard(0).streams[0]?.calls.length).toBe(1);
  });

  test("by unary gRPC to a process that does not speak what the table says, rows as well", async () => {
    await start();
    for (const shard of mesh.allShards) shard.script = { refuseStream: UNSPOKEN, rows: [1n] };
    expect((await mesh.echo()).json.answer.rows).toBe("4");
    const rows = await mesh.post(`/v1/snapshots/s2/${SERVICE}/Rows`, {});
    expect([rows.status, rows.text.split("\n").filter((line) => line.includes("value")).length]).toEqual([200, 4]);
    expect(streamsOf()).toEqual([1, 1, 1, 1]);
  });
});

describe("verification goes the way that queries would", () => {
  const verify = async (script: ShardScript, instance = "") => {
    await start({ shards: 2 });
    mesh.shard(1).instance = instance;
    mesh.shard(1).script = script;
    return mesh.admin.verifyRoutes({ table: next(), tuples: [{ snapshot: "s2", version: V2 }] }, { timeoutMs: 10_000 });
  };
  const failing = async (script: ShardScript, instance?: string) => {
    const { verified, failures } = await verify(script, instance);
    expect([verified, failures.map(({ shard }) => shard)]).toEqual([false, [1]]);
    return failures[0]!.reason;
  };

  test("a stream is opened to each placement, and ended", async () => {
    expect(await verify({})).toMatchObject({ verified: true });
    expect(streamsOf()).toEqual([1, 1]);
    await mesh.until(() => mesh.allShards.every(({ streams }) => streams[0]!.ended), "the streams have ended");
  });

  test("a stream that leads to another state is no proof", async () => {
    const hello: ShardScript["hello"] = ({ bound }) => ({ bound: bound.map((s) => ({ ...s, stateDigest: "x" })) });
    expect(await failing({ hello })).toContain("on its stream stateDigest is x");
  });

  test("nor is one to a process with nothing bound, unless it is the one that was asked", async () => {
    expect(await failing({ hello: () => ({ bound: [] }) })).toContain("on its stream it has nothing bound");
    await mesh.close();
    // What does not fit the hello's frame is not named there.
    expect(await verify({ hello: () => ({ bound: [] }) }, "i")).toMatchObject({ verified: true });
  });

  test("nor one to another process", async () => {
    expect(await failing({ hello: () => ({ instance: "j" }) }, "i")).toContain("leads to instance j");
  });

  test("nor one that is refused", async () => {
    expect(await failing({ refuseStream: () => ({ code: 7, details: "by policy" }) })).toContain("by policy");
  });

  test("where Converse is not spoken queries would go by unary gRPC, which is proved", async () => {
    expect(await verify({ refuseStream: UNSPOKEN })).toMatchObject({ verified: true });
  });
});

test("frames, calls in them, and streams open and lost are counted", async () => {
  telemetry = startTelemetry({ serviceName: "t", instance: "t", environment: {} });
  await start({ telemetry });
  await Promise.all(Array.from({ length: 10 }, () => mesh.echo()));
  const read = async (name: string) => {
    const text = (await mesh.get("/metrics")).text;
    return Number(new RegExp(`^${name}(?:_total)?(?:\\{[^}]*\\})? (\\d+)`, "m").exec(text)?.[1]);
  };
  expect(await read("skynetes_stream_calls_sent")).toBe(40);
  expect(await read("skynetes_stream_frames_sent")).toBeLessThanOrEqual(40);
  expect(await read("skynetes_streams_open")).toBe(4);
  mesh.shard(1).streams[0]!.sendRaw(Buffer.from([0xff]));
  await mesh.until(() => mesh.shard(1).streams[0]!.ended, "the stream is given up");
  expect((await mesh.get("/metrics")).text).toMatch(
    /skynetes_streams_lost(_total)?\{[^}]*reason="unreadable"[^}]*\} 1/,
  );
});

function withConverse(converse: boolean): RouteTable {
  return next((table) => {
    for (const version of table.versions) version.converse = converse;
  });
}

function next(change: (table: RouteTable) => void = () => {}): RouteTable {
  const table = clone(RouteTableSchema, mesh.table);
  table.epoch++;
  change(table);
  return table;
}
