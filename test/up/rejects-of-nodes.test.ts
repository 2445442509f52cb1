import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { Fault } from "../../src/fault/fault.ts";
import { rejectsOfNodes } from "../../src/up/data/rejects-of-nodes.ts";
import { ListRejectsRequestSchema } from "../../src/wire/generated/skynetes/v1/control_pb.ts";
import { manifestFixture } from "./mesh-fixture.ts";

const manifest = manifestFixture();
const signal = new AbortController().signal;
const first = "node-a";
const second = "node-b";

function source(answers: Record<string, readonly object[] | Fault>, up: readonly string[]) {
  const placed = { ...manifest, mesh: { ...manifest.mesh, shards: 1, placements: [[first, second]] } };
  const readRejects = (address: string) => async () => {
    const answer = answers[address];
    if (answer instanceof Fault) throw answer;
    return { rejects: answer };
  };
  return rejectsOfNodes({
    manifest: placed,
    clients: { node: (address: string) => ({ readRejects: readRejects(address) }) } as never,
    addressOf: (node) => (up.includes(node) ? node : undefined),
  });
}

const ask = (shard: number) => create(ListRejectsRequestSchema, { shard, limit: 10 });

test("rejects come from the first node of the shard that answers", async () => {
  const lost = new Fault("shard-unavailable", "lost");
  expect(await source({ [first]: ["a"] as never, [second]: ["b"] as never }, [first, second])(ask(0), signal)).toEqual([
    "a",
  ]);
  expect(await source({ [first]: lost, [second]: ["b"] as never }, [first, second])(ask(0), signal)).toEqual(["b"]);
  expect(await source({ [second]: ["b"] as never }, [second])(ask(0), signal)).toEqual(["b"]);
});

test("what no node tells, and a shard that there is not, is said with its reason", async () => {
  const lost = new Fault("shard-unavailable", "the line is cut");
  const none = source({ [second]: lost }, [second])(ask(0), signal);
  await expect(none).rejects.toMatchObject({
    id: "not-ready",
    message: expect.stringMatching(/node-a is not up.*cut/),
  });
  await expect(source({}, [])(ask(1), signal)).rejects.toMatchObject({ id: "invalid-request" });
});
