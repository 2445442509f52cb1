import { expect, test } from "vitest";
import { FramePace } from "../../../src/wire/converse/frame-pace.ts";

function pace() {
  const turns: (() => void)[] = [];
  const waiting: string[] = [];
  const written: string[] = [];
  const state = { takes: true };
  const under = new FramePace({
    fill: () => (waiting.length === 0 ? undefined : Buffer.from(waiting.splice(0, 3).join(","))),
    write: (frame) => {
      written.push(frame.toString());
      return state.takes;
    },
    atEndOfTurn: (work) => turns.push(work),
  });
  return {
    under,
    written,
    state,
    send(text: string) {
      waiting.push(text);
      under.wanted();
    },
    endTurn() {
      for (const work of turns.splice(0)) work();
    },
    get turns() {
      return turns.length;
    },
  };
}

test("what comes in one turn goes out together at its end, and nothing is scheduled while nothing waits", () => {
  const { send, endTurn, written, ...rest } = pace();
  send("a");
  send("b");
  expect(written).toEqual([]);
  endTurn();
  expect(written).toEqual(["a,b"]);
  expect(rest.turns).toBe(0);
  send("c");
  endTurn();
  expect(written).toEqual(["a,b", "c"]);
});

test("a full stream is left alone until it has drained, and then served at once", () => {
  const { send, endTurn, written, state, under } = pace();
  state.takes = false;
  for (const text of ["a", "b", "c", "d"]) send(text);
  endTurn();
  // The frame that filled it is written; the next is not even packed.
  expect(written).toEqual(["a,b,c"]);
  send("e");
  endTurn();
  expect(written).toEqual(["a,b,c"]);
  state.takes = true;
  under.drained();
  expect(written).toEqual(["a,b,c", "d,e"]);
});

test("one that is stopped writes nothing more", () => {
  const { send, endTurn, written, under } = pace();
  send("a");
  under.stop();
  endTurn();
  under.drained();
  expect(written).toEqual([]);
});
