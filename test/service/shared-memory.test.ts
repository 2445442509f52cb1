import { expect, test } from "vitest";
import { SharedMemory } from "../../src/service/bind/shared-memory.ts";

test("a part counts once while anybody holds it", () => {
  const memory = new SharedMemory();
  const [old, shared, fresh] = [{}, {}, {}];
  const first = new Map<object, number>([
    [old, 10],
    [shared, 100],
  ]);
  const second = new Map<object, number>([
    [shared, 100],
    [fresh, 1],
  ]);
  memory.add(first);
  expect(memory.growth(second)).toBe(1);
  memory.add(second);
  expect(memory.bytes).toBe(111);
  memory.remove(first);
  expect(memory.bytes).toBe(101);
  memory.remove(second);
  expect(memory.bytes).toBe(0);
});
