import { EventEmitter } from "node:events";
import type { ServerResponse } from "node:http";
import { expect, test } from "vitest";
import { clientSignal } from "../../../../src/gateway/receive/http/client-signal.ts";

function response(state: { destroyed: boolean; writableFinished: boolean }): ServerResponse {
  return Object.assign(new EventEmitter(), state) as unknown as ServerResponse;
}

test("a client that went away before the signal was asked for has gone all the same", () => {
  const { aborted, reason } = clientSignal(response({ destroyed: true, writableFinished: false }));
  expect([aborted, reason?.id]).toEqual([true, "cancelled"]);
});

test("a client goes away when its socket closes before the reply is written, not after", () => {
  for (const writableFinished of [false, true]) {
    const reply = response({ destroyed: false, writableFinished });
    const signal = clientSignal(reply);
    expect(signal.aborted).toBe(false);
    reply.emit("close");
    expect(signal.aborted).toBe(!writableFinished);
  }
});
