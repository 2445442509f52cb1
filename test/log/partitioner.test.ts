import fc from "fast-check";
import { expect, it } from "vitest";
import { murmur2, partitionOf } from "../../src/log/partitioner.ts";

it.each([
  ["21", -973932308],
  ["foobar", -790332482],
  ["a-little-bit-long-string", -985981536],
  ["a-little-bit-longer-string", -1486304829],
  ["lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971],
  ["abc", 479470107],
])("hashes %j as Kafka's own tests say", (key, hash) => {
  expect(murmur2(Buffer.from(key))).toBe(hash);
});

it("places negative hashes by their lower 31 bits, as toPositive does", () => {
  expect(partitionOf(Buffer.from("21"), 0, 4)).toBe((-973932308 & 0x7fffffff) % 4);
  expect(partitionOf(Buffer.from("foobar"), 0, 1000)).toBe((-790332482 & 0x7fffffff) % 1000);
});

it("sends records without a key round the partitions", () => {
  expect([0, 1, 2, 3, 4].map((sequence) => partitionOf(null, sequence, 3))).toEqual([0, 1, 2, 0, 1]);
});

it("gives any key one partition that there is, wherever in the file it stands", () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.nat(), fc.integer({ min: 1, max: 5000 }), (key, sequence, partitions) => {
      const partition = partitionOf(key, sequence, partitions);
      expect(partition).toBeGreaterThanOrEqual(0);
      expect(partition).toBeLessThan(partitions);
      expect(partition).toBe(partitionOf(Uint8Array.from(key), sequence + 1, partitions));
    }),
  );
});
