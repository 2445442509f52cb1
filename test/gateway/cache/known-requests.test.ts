import { afterAll, beforeAll, expect, test } from "vitest";
import { type ScriptedMesh, SERVICE, scriptedMesh } from "../scripted-mesh.ts";

let mesh: ScriptedMesh;
beforeAll(async () => {
  mesh = await scriptedMesh({ shards: 1 });
  mesh.shard(0).script.echo = (request) => ({ rows: 1n, text: request.text });
});
afterAll(() => mesh.close());

const ECHO = `/v1/snapshots/s2/${SERVICE}/Echo`;

test("a body's bytes and a URL's characters are told apart", async () => {
  // As bytes in Latin-1 the first reads like the second.
  const texts = ["é", "Ã©"];
  for (const text of texts) {
    for (let time = 0; time < 2; time++) {
      const url = `${ECHO}?request=${encodeURIComponent(JSON.stringify({ text }))}`;
      for (const reply of [await mesh.echo({ text }), await mesh.get(url)]) expect(reply.json.answer.text).toBe(text);
    }
  }
});

test("a URL without a request asks with none, and is not one that says undefined", async () => {
  for (let time = 0; time < 2; time++) {
    expect((await mesh.get(ECHO)).status).toBe(200);
    expect((await mesh.get(`${ECHO}?request=undefined`)).status).toBe(400);
    expect((await mesh.get(`${ECHO}?request=%7B%7D`)).status).toBe(200);
  }
});

test("a name that holds a line end is no part of another request", async () => {
  expect((await mesh.post(ECHO, "\n\n{}")).status).toBe(200);
  const crafted = `/v1/snapshots/${encodeURIComponent(`s2\n${SERVICE}`)}/@Echo/%0A`;
  expect((await mesh.post(crafted, "{}")).status).toBe(404);
});

test("what is refused is refused each time", async () => {
  for (let time = 0; time < 2; time++) {
    expect((await mesh.post(ECHO, "{")).status).toBe(400);
    expect((await mesh.echo({ nothing: 1 })).status).toBe(400);
    expect((await mesh.echo({}, "", "nope")).status).toBe(404);
  }
});

test("a request that is known means what the table says now", async () => {
  const ask = () => mesh.echo({ text: "x" }, "", "latest");
  expect((await ask()).json.snapshot.id).toBe("s2");
  expect((await ask()).json.snapshot.id).toBe("s2");
  await mesh.apply({
    ...mesh.table,
    epoch: mesh.table.epoch + 1n,
    snapshots: mesh.table.snapshots.filter(({ id }) => id === "s2"),
  });
  expect((await ask()).headers.get("x-skynetes-epoch")).toBe("2");
  expect((await mesh.echo({ text: "x" }, "", "s1")).status).toBe(410);
});
