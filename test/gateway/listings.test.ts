import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ScriptedMesh, SERVICE, scriptedMesh, V1, V2 } from "./scripted-mesh.ts";

let mesh: ScriptedMesh;
beforeAll(async () => {
  mesh = await scriptedMesh();
});
afterAll(() => mesh.close());

describe("lists", () => {
  test("the mesh, its services and what latest means", async () => {
    const { json } = await mesh.get("/v1/mesh");
    expect(json).toMatchObject({
      mesh: "probe",
      epoch: "1",
      services: [{ service: SERVICE, latest: "s2", versions: [V1, V2] }],
    });
    expect(json.shards.length).toBe(4);
  });

  test("the snapshots, and one of them with its seal", async () => {
    expect((await mesh.get("/v1/snapshots")).json.snapshots).toMatchObject([
      { id: "s1", rows: "1000", bindings: [{ service: SERVICE, version: V1 }], latestOf: [] },
      { id: "s2", latestOf: [SERVICE] },
    ]);
    const one = await mesh.get("/v1/snapshots/s1");
    expect(one.json).toMatchObject({ summary: { id: "s1" }, seal: { snapshot: "s1" } });
    expect((await mesh.get("/v1/snapshots/nope")).status).toBe(404);
    expect((await mesh.get("/v1/snapshots?x=1")).status).toBe(400);
  });

  test("metrics are not there when nothing is measured", async () => {
    expect((await mesh.get("/metrics")).status).toBe(404);
  });
});

test("explain tells how a query would be answered and asks no shard", async () => {
  const reply = await mesh.echo({}, "?explain=plan", "latest");
  expect(reply.json.snapshot).toEqual({ id: "s2", version: V2, epoch: "1" });
  expect(reply.json.shards.asked).toMatchObject([{ shard: 0, rows: "100", placements: ["node-a"] }, {}, {}, {}]);
  expect(reply.json.text).toContain("rows");
  expect(mesh.allShards.every((shard) => shard.calls.length === 0)).toBe(true);
});

describe("OpenAPI", () => {
  test("names every bound method, and every reference leads somewhere", async () => {
    const { json, headers } = await mesh.get("/openapi.json");
    expect(headers.get("content-type")).toContain("application/json");
    expect(json.openapi).toBe("3.1.0");
    const echo = json.paths[`/v1/snapshots/{snapshot}/${SERVICE}/Echo`];
    expect(Object.keys(echo)).toEqual(["post", "get"]);
    expect(Object.keys(json.paths[`/v1/snapshots/{snapshot}/${SERVICE}/Write`])).toEqual(["post"]);
    const text = JSON.stringify(json);
    const references = [...text.matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)].map((m) => m[1] as string);
    expect(references.length).toBeGreaterThan(5);
    for (const name of references) expect(json.components.schemas, name).toHaveProperty([name]);
    expect(json.components.schemas["probe.v1.Inner"].properties.inners.items.$ref).toBe(
      "#/components/schemas/probe.v1.Inner",
    );
  });

  test("every operation has a reply and declares the parameters of its path", async () => {
    const { json } = await mesh.get("/openapi.json");
    const ids: string[] = [];
    for (const [path, item] of Object.entries<Record<string, never>>(json.paths)) {
      for (const operation of Object.values<{
        responses: object;
        parameters: { in: string; name: string }[];
        operationId?: string;
      }>(item)) {
        expect(Object.keys(operation.responses), path).toContain("default");
        const declared = operation.parameters.filter((p) => p.in === "path").map((p) => p.name);
        expect(declared, path).toEqual([...path.matchAll(/\{(\w+)\}/g)].map((m) => m[1]));
        if (operation.operationId !== undefined) ids.push(operation.operationId);
      }
    }
    expect(new Set(ids).size).toBe(ids.length);
  });

  test("every fixed path is served", async () => {
    const { json } = await mesh.get("/openapi.json");
    for (const path of Object.keys(json.paths).filter((p) => !p.includes("{") && p !== "/metrics")) {
      expect((await mesh.get(path)).status, path).toBe(200);
    }
  });
});
