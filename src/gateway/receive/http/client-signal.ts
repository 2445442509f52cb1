import type { ServerResponse } from "node:http";
import { Fault } from "../../../fault/fault.ts";

/**
 * Aborts when the client goes away before its reply is written. Not Fastify's `request.signal`: that one aborts when
 * the request's body has been read, which is long before.
 */
export function clientSignal(response: ServerResponse): AbortSignal {
  const gone = new AbortController();
  response.once("close", () => {
    if (!response.writableFinished) gone.abort(new Fault("cancelled", "the client went away"));
  });
  return gone.signal;
}
