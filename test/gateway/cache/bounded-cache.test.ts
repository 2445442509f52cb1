import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BoundedCache } from "../../../src/gateway/cache/bounded-cache.ts";

const MIB = 2 ** 20;

type Act = { readonly do: "set" | "get" | "delete"; readonly key: string; readonly bytes: number };
const act = fc.record<Act>({
  do: fc.constantFrom("set", "set", "get", "get", "delete"),
  key: fc.nat(60).map((n) => `key-${n}`),
  bytes: fc.oneof(fc.nat(2_000), fc.nat(80_000)),
});

describe("a bounded cache", () => {
  test("never holds more than its bytes, and never another value than the last one set", () => {
    fc.assert(
      fc.property(fc.array(act, { maxLength: 400 }), fc.integer({ min: 64, max: 256 * 1024 }), (acts, bytesMax) => {
        const cache = new BoundedCache<object>(bytesMax);
        const last = new Map<string, { value: object; bytes: number }>();
        const found = new Set<string>();
        for (const { do: what, key, bytes } of acts) {
          if (what === "set") {
            const value = {};
            last.delete(key);
            if (cache.set(key, value, bytes)) last.set(key, { value, bytes });
          } else if (what === "delete") {
            cache.delete(key);
            last.delete(key);
          } else {
            const value = cache.get(key);
            if (value !== undefined) found.add(key);
            expect(value === undefined || value === last.get(key)?.value).toBe(true);
          }
          expect(cache.counts.bytes).toBeLessThanOrEqual(bytesMax);
        }
        // What is counted is what is there: keys and values of all that can still be found, and more.
        const held = [...last].filter(([key]) => cache.get(key) !== undefined);
        expect(cache.counts.entries).toBe(held.length);
        const least = held.reduce((sum, [key, { bytes }]) => sum + key.length + bytes, 0);
        expect(cache.counts.bytes).toBeGreaterThanOrEqual(least);
      }),
    );
  });

  test("keeps what is asked for again through a scan of what nobody repeats", () => {
    const cache = new BoundedCache<number>(MIB);
    const hot = Array.from({ length: 100 }, (_, i) => `hot-${i}`);
    for (const key of hot) cache.set(key, 1, 1_000);
    for (const key of hot) cache.get(key);
    for (let i = 0; i < 20_000; i++) {
      cache.set(`scan-${i}`, 0, 1_000);
      // Asked for now and then, far less often than the scan goes on.
      if (i % 50 === 0) cache.get(hot[(i / 50) % hot.length] as string);
    }
    // One or the other may go where sparing has its bound; a cache that keeps the last ones has none of them.
    expect(hot.filter((key) => cache.get(key) === 1).length).toBeGreaterThanOrEqual(hot.length - 2);
  });

  test("what comes back soon after it left is kept through the next scan", () => {
    const cache = new BoundedCache<number>(MIB);
    const scan = (name: string) => {
      for (let i = 0; i < 1_000; i++) cache.set(`${name}-${i}`, 0, 1_000);
    };
    cache.set("returning", 1, 1_000);
    scan("first");
    expect(cache.get("returning")).toBe(undefined);
    cache.set("returning", 1, 1_000);
    scan("second");
    expect(cache.get("returning")).toBe(1);
  });

  test("an entry larger than its share is not kept, and neither is what it would replace", () => {
    const cache = new BoundedCache<string>(MIB);
    expect(cache.set("a", "small", 10)).toBe(true);
    expect(cache.set("a", "large", MIB / 8)).toBe(false);
    expect(cache.get("a")).toBe(undefined);
    expect(cache.counts.entries).toBe(0);
  });

  test("an eviction spares 32 entries in use and no more, so that no turn becomes long", () => {
    const cache = new BoundedCache<number>(MIB);
    const use = (key: string) => {
      for (let times = 0; times < 3; times++) cache.get(key);
    };
    // They fill the place of those on probation: all others go to the main queue.
    for (const key of ["wide-1", "wide-2"]) {
      cache.set(key, 1, MIB * 0.06);
      use(key);
    }
    const keys: string[] = [];
    while (cache.counts.evictions === 0) {
      const key = `k-${keys.length}`;
      keys.push(key);
      cache.set(key, 1, 1_000);
      use(key);
    }
    // All are in use, so what left is not the oldest but the one behind those that were spared.
    expect(keys.findIndex((key) => cache.get(key) === undefined)).toBe(32);
  });
});
