import type { Socket } from "node:net";
import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import { refuseUnreadable } from "../../../src/gateway/door/unreadable-request.ts";
import { problemOf } from "../../../src/gateway/reply/problem.ts";

function refuse(code: string, reply?: { readonly headersSent: boolean }): { written: string; destroyed: boolean } {
  const socket = Object.assign(new PassThrough(), { _httpMessage: reply });
  refuseUnreadable(Object.assign(new Error("refused"), { code }), socket as unknown as Socket, problemOf);
  return { written: String(socket.read() ?? ""), destroyed: socket.destroyed };
}

test.each([
  ["HPE_HEADER_OVERFLOW", 431, "headers-too-large"],
  ["ERR_HTTP_REQUEST_TIMEOUT", 408, "request-timeout"],
  ["HPE_INVALID_METHOD", 400, "malformed-request"],
])("%s is a problem like every other", (code, status, id) => {
  const { written } = refuse(code);
  const [head = "", body = ""] = written.split("\r\n\r\n");
  expect(head.split("\r\n")[0]).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  expect(head).toContain(`content-length: ${Buffer.byteLength(body)}`);
  expect(JSON.parse(body)).toMatchObject({ status, type: `https://skynetes.io/problems/${id}` });
});

test("nothing is written into a reply under way, nor to a client that has gone", () => {
  expect(refuse("HPE_INVALID_METHOD", { headersSent: true })).toEqual({ written: "", destroyed: true });
  expect(refuse("HPE_INVALID_METHOD", { headersSent: false }).written).toContain("400");
  expect(refuse("ECONNRESET")).toEqual({ written: "", destroyed: true });
});
