import { describe, expect, test } from "vitest";
import { FewAtATime } from "../../src/process/few-at-a-time.ts";

const never = new AbortController().signal;

/** Works that end when told, and what has begun. */
function works(few: FewAtATime) {
  const begun: string[] = [];
  const ends = new Map<string, (error?: Error) => void>();
  const start = (name: string, signal = never) =>
    few.run(signal, () => {
      begun.push(name);
      return new Promise<string>((resolve, reject) => {
        ends.set(name, (error) => (error === undefined ? resolve(name) : reject(error)));
      });
    });
  const end = async (name: string, error?: Error) => {
    ends.get(name)?.(error);
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { begun, start, end };
}

describe("few at a time", () => {
  test("begins as many as may run, the others in the order they came", async () => {
    const { begun, start, end } = works(new FewAtATime(2));
    const all = ["a", "b", "c", "d"].map((name) => start(name));
    await end("");
    expect(begun).toEqual(["a", "b"]);
    await end("b");
    expect(begun).toEqual(["a", "b", "c"]);
    await end("a");
    await end("c");
    await end("d");
    expect(await Promise.all(all)).toEqual(["a", "b", "c", "d"]);
  });

  test("one that fails gives its place to the next", async () => {
    const { begun, start, end } = works(new FewAtATime(1));
    const failing = start("a");
    const next = start("b");
    await end("");
    const failed = expect(failing).rejects.toThrow("broken");
    await end("a", new Error("broken"));
    await failed;
    expect(begun).toEqual(["a", "b"]);
    await end("b");
    await next;
  });

  test("one that is given up while it waits never begins, and takes nobody's place", async () => {
    const { begun, start, end } = works(new FewAtATime(1));
    const stop = new AbortController();
    const first = start("a");
    const givenUp = expect(start("b", stop.signal)).rejects.toThrow("enough");
    const third = start("c");
    stop.abort(new Error("enough"));
    await givenUp;
    await expect(start("d", stop.signal)).rejects.toThrow("enough");
    await end("a");
    expect(begun).toEqual(["a", "c"]);
    await end("c");
    await Promise.all([first, third]);
  });
});
