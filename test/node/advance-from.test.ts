import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { advanceFrom } from "../../src/node/advance-from.ts";
import { frozenShard } from "../../src/node/frozen-shard.ts";
import { ShardManifestSchema } from "../../src/wire/generated/skynetes/v1/seal_pb.ts";

function frozen(snapshot: string, ...names: readonly string[]) {
  const segments = names.map((sha256) => ({ sha256, bytes: BigInt(sha256.length) }));
  return frozenShard(create(ShardManifestSchema, { snapshot, tables: [{ name: "t", segments }] }));
}

test("what is most alike comes first; itself and what shares no segment is not offered", () => {
  const wanted = frozen("s4", "a", "bb", "cccc");
  const found = advanceFrom(wanted.manifest, [
    frozen("s1", "a"),
    wanted,
    frozen("s3", "a", "bb"),
    frozen("other", "x"),
    frozen("later", "a", "bb", "cccc", "d"),
  ]);
  expect(found).toMatchObject([
    { snapshot: "later", newSegments: [], goneSegments: ["d"] },
    { snapshot: "s3", newSegments: ["cccc"], goneSegments: [] },
    { snapshot: "s1", newSegments: ["bb", "cccc"], goneSegments: [] },
  ]);
  expect(found[1]?.manifestSha256).toBe(frozen("s3", "a", "bb").manifestSha256);
});

test("at most eight are offered", () => {
  const many = Array.from({ length: 20 }, (_, i) => frozen(`s${i}`, "a", `b${i}`));
  expect(advanceFrom(frozen("new", "a").manifest, many)).toHaveLength(8);
});
