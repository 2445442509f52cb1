import { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import { Fault } from "../../fault/fault.ts";
import { PROBLEM_TYPE, type Problem } from "../reply/problem.ts";

/**
 * Answers what Node's parser refuses before there is a request: bad syntax, headers beyond its bound, a client that
 * sends too slowly. A problem like every other, written by hand because there is no reply to write it to.
 */
export function refuseUnreadable(
  error: NodeJS.ErrnoException,
  socket: Socket,
  problemOf: (fault: Fault) => Problem,
): void {
  // The client has gone, or a reply to an earlier request is half written: nothing can be said any more.
  if (error.code === "ECONNRESET" || !socket.writable || isReplying(socket)) {
    socket.destroy();
    return;
  }
  const problem = problemOf(faultOf(error));
  const body = JSON.stringify(problem);
  const head = [
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}`,
    `content-type: ${PROBLEM_TYPE}; charset=utf-8`,
    `content-length: ${Buffer.byteLength(body)}`,
    "cache-control: no-store",
    "connection: close",
  ];
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`);
}

/** Node keeps the reply under way here, and its own handler looks at it too. */
function isReplying(socket: Socket): boolean {
  const { _httpMessage: reply } = socket as Socket & { _httpMessage?: { readonly headersSent: boolean } };
  return reply?.headersSent === true;
}

function faultOf(error: NodeJS.ErrnoException): Fault {
  switch (error.code) {
    case "HPE_HEADER_OVERFLOW":
      return new Fault("headers-too-large", "read request: its headers are larger than the gateway reads", {}, error);
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return new Fault("request-timeout", "read request: it did not come in time", {}, error);
    default:
      return new Fault("malformed-request", `read request: it is not HTTP (${error.code ?? error.message})`, {}, error);
  }
}
