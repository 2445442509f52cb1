/** Calls that go by unary gRPC because nobody speaks Converse at the other end. */
import { expect, test } from "vitest";
import { Fault } from "../../../src/fault/fault.ts";
import { MessageCall } from "../../../src/gateway/scatter/converse/message-call.ts";
import type { CallTerms } from "../../../src/gateway/scatter/converse/stream-call.ts";
import { UnaryCall } from "../../../src/gateway/scatter/converse/unary-call.ts";
import type { ShardTransport } from "../../../src/gateway/scatter/shard-transport.ts";
import { callOf } from "./answering-service.ts";
import { ScriptedTransport } from "./scripted-transport.ts";

const beaten = new Fault("cancelled", "another placement answered first");
const ways = {
  unary: (terms: CallTerms) => {
    const call = new UnaryCall(terms, { replied: () => {} });
    return { call, outcome: call.reply as Promise<unknown> };
  },
  streaming: (terms: CallTerms) => {
    const call = new MessageCall(terms);
    return { call, outcome: call.opened as Promise<unknown> };
  },
};

test.each(Object.entries(ways))("a %s call that has moved is ended alone, where it went", async (_name, open) => {
  const query = new AbortController();
  const terms = { call: callOf("a:1"), deadline: 20_000, signal: query.signal, partialBytesMax: 1_000 };
  const { call, outcome } = open(terms);
  terms.call.under = call;
  const unary = new ScriptedTransport();
  call.moveTo(unary, 15_000);
  expect(unary.calls.map(({ timeoutMs, isCancelled }) => [timeoutMs, isCancelled])).toEqual([[5_000, false]]);
  call.cancelled(beaten);
  expect(unary.calls[0]!.isCancelled).toBe(true);
  expect(query.signal.aborted).toBe(false);
  await expect(outcome).rejects.toBe(beaten);
});

test.each(Object.entries(ways))(
  "a %s call that moved and was never sent there can be ended as well",
  async (_n, open) => {
    const terms = { call: callOf("a:1"), deadline: 20_000, signal: AbortSignal.abort(), partialBytesMax: 1_000 };
    const { call, outcome } = open(terms);
    terms.call.under = call;
    const refusing = { unary: () => Promise.reject(beaten), stream: () => Promise.reject(beaten) };
    call.moveTo(refusing as unknown as ShardTransport, 15_000);
    call.cancelled(beaten);
    await expect(outcome).rejects.toBe(beaten);
  },
);
