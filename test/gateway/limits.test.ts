import { afterEach, describe, expect, test } from "vitest";
import type { GatewayLimits } from "../../src/gateway/gateway-config.ts";
import { type ScriptedMesh, SERVICE, scriptedMesh } from "./scripted-mesh.ts";

let mesh: ScriptedMesh;
afterEach(() => mesh.close());

const KB = 1024;

/** Every shard answers with so many bytes. */
async function start(bytes: number, limits: Partial<GatewayLimits>): Promise<void> {
  mesh = await scriptedMesh({ limits });
  for (const shard of mesh.allShards) {
    shard.script = { echo: () => ({ rows: 1n, text: "x".repeat(bytes) }), note: "x".repeat(bytes), rows: [1n] };
  }
}

async function asked(query = ""): Promise<readonly [number, string, string]> {
  const { status, json } = await mesh.echo({}, query);
  return [status, json.type?.replace("https://skynetes.io/problems/", ""), json.detail];
}

describe("what a query may hold", () => {
  test("one partial beyond partialBytesMax is refused, one below is not", async () => {
    await start(100 * KB, { partialBytesMax: 100 * KB });
    expect(await asked()).toEqual([422, "answer-too-large", expect.stringContaining("larger than max")]);
    for (const shard of mesh.allShards) shard.script = { echo: () => ({ rows: 1n, text: "x".repeat(99 * KB) }) };
    expect((await mesh.echo()).status).toBe(200);
  });

  test("rows of streams are bounded by it too", async () => {
    await start(100 * KB, { partialBytesMax: 100 * KB });
    const reply = await mesh.post(`/v1/snapshots/s2/${SERVICE}/Rows`, {});
    expect(reply.text).toContain("answer-too-large");
    expect(reply.text).not.toContain("$end");
  });

  test("all partials together beyond groupBytesMax are refused, although each alone would do", async () => {
    await start(100 * KB, { groupBytesMax: 350 * KB });
    expect(await asked()).toEqual([422, "answer-too-large", expect.stringContaining("partials exceed")]);
    for (const shard of mesh.allShards) shard.script = { echo: () => ({ rows: 1n, text: "x".repeat(80 * KB) }) };
    expect((await mesh.echo({ number: 1 })).status).toBe(200);
  });

  test("more than the gateway's memory is overload and no missing shard, and is given back", async () => {
    await start(500 * KB, { memoryBytesMax: 400 * KB });
    for (const query of ["", "?completeness=partial"]) {
      expect(await asked(query)).toEqual([503, "overloaded", expect.stringContaining("of 409600 bytes")]);
    }
    for (const shard of mesh.allShards) shard.script = { echo: () => ({ rows: 1n, text: "x".repeat(60 * KB) }) };
    for (let number = 1; number <= 20; number++) expect((await mesh.echo({ number })).status).toBe(200);
  });

  test("sockets beyond connectionsMax are closed", async () => {
    await start(1, { connectionsMax: 0 });
    await expect(mesh.echo()).rejects.toThrow();
  });
});
