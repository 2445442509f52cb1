import fc from "fast-check";
import { expect, test } from "vitest";
import { KnownStamps } from "../../../src/gateway/scatter/converse/known-stamps.ts";
import { MessageCall } from "../../../src/gateway/scatter/converse/message-call.ts";
import { CREDIT_BYTES, FRAGMENT_BYTES_MAX } from "../../../src/wire/converse/limits.ts";
import { encodeStamp } from "../../../src/wire/converse/packed-stamp.ts";
import { callOf } from "./answering-service.ts";

const NEVER = new AbortController().signal;
const call = callOf("a:1");
const REST = {
  id: 1,
  stamp: undefined,
  status: undefined,
  bounds: undefined,
  format: 0,
  timing: undefined,
  partialBytes: 0,
} as const;

const sizes = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: fc.nat(100) },
    { weight: 2, arbitrary: fc.nat(40_000) },
    { weight: 1, arbitrary: fc.nat(600_000) },
  ),
  { maxLength: 30 },
);

/** A service that keeps to its credit, and a reader at its own pace. */
test("whatever the messages and whoever is faster, all arrive in order, nobody waits for ever, little is held", async () => {
  await fc.assert(
    fc.asyncProperty(sizes, fc.array(fc.boolean(), { minLength: 1, maxLength: 50 }), async (lengths, turns) => {
      const messages = lengths.map((length, i) => Buffer.alloc(length, i + 1));
      let credit = CREDIT_BYTES;
      const under = new MessageCall({ call, deadline: 1e9, signal: NEVER, partialBytesMax: 1_000_000 });
      under.home = {
        kind: "bulk",
        pod: "",
        stamps: new KnownStamps(),
        grant: (_call, bytes) => {
          credit += bytes;
        },
        ended: () => {},
      };
      under.take({ ...REST, data: Buffer.alloc(0), messageEnd: false, stamp: encodeStamp(call.expected) });
      const reader = (await under.opened).messages[Symbol.asyncIterator]();

      let [message, at, sent, read] = [0, 0, 0, 0];
      const seen: Uint8Array[] = [];
      let isOver = false;
      const send = () => {
        const bytes = messages[message];
        if (bytes === undefined) return false;
        const length = Math.min(bytes.length - at, FRAGMENT_BYTES_MAX, credit);
        if (length === 0 && bytes.length > at) return false;
        credit -= length;
        sent += length;
        at += length;
        const messageEnd = at === bytes.length;
        under.take({ ...REST, data: bytes.subarray(at - length, at), messageEnd });
        if (messageEnd) [message, at] = [message + 1, 0];
        if (message === messages.length) {
          under.take({ ...REST, data: Buffer.alloc(0), messageEnd: false, status: OK });
          isOver = true;
        }
        return true;
      };
      if (messages.length === 0) under.take({ ...REST, data: Buffer.alloc(0), messageEnd: false, status: OK });
      const whole = () => seen.length < message;
      for (let turn = 0; seen.length < messages.length; turn++) {
        if (turns[turn % turns.length] && send()) {
          expect(sent - read).toBeLessThanOrEqual(CREDIT_BYTES + Math.max(...lengths));
        } else if (whole()) {
          const next = await reader.next();
          expect(next.done).toBe(false);
          seen.push(next.value as Uint8Array);
          read += (next.value as Uint8Array).length;
        } else expect(send()).toBe(true);
      }
      expect(isOver || messages.length === 0).toBe(true);
      expect(Buffer.concat(seen).equals(Buffer.concat(messages))).toBe(true);
      expect(seen.map(({ length }) => length)).toEqual(lengths);
      expect(await reader.next()).toEqual({ done: true, value: undefined });
    }),
    { numRuns: 60 },
  );
});

const OK = { code: 0, message: "", fault: "", retryAfterMs: 0 };
