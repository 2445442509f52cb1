import { expect, test } from "vitest";
import { ByteSink } from "../../src/wire/byte-sink.ts";

test("what was taken stays, whatever is written after it and into the memory of a sink that has ended", () => {
  const first = new ByteSink();
  first.ascii("one");
  const one = first.take();
  first.ascii("two");
  const two = first.end();
  const second = new ByteSink();
  second.ascii("three");
  expect([one, two, second.end()].map(String)).toEqual(["one", "two", "three"]);
});

test("two sinks at a time never share memory, also after others have ended", () => {
  new ByteSink().end();
  new ByteSink().end();
  const [a, b] = [new ByteSink(), new ByteSink()];
  a.ascii("aaaa");
  b.ascii("bb");
  expect([a.end(), b.end()].map(String)).toEqual(["aaaa", "bb"]);
});

test("one that has grown ends like another", () => {
  const sink = new ByteSink();
  const text = "x".repeat(10_000);
  sink.ascii(text);
  expect(sink.end().toString()).toBe(text);
  const next = new ByteSink();
  next.ascii("y");
  expect(next.end().toString()).toBe("y");
});
