import type { ServerResponse } from "node:http";
import { Fault } from "../../../fault/fault.ts";

/**
 * Aborts when the client goes away before its reply is written. Not Fastify's `request.signal`: that one aborts when
 * the request's body has been read, which is long before.
 */
export function clientSignal(response: ServerResponse): AbortSignal {
  const gone = new AbortController();
  const closed = () => {
    if (!response.writableFinished) gone.abort(new Fault("cancelled", "the client went away"));
  };
  // It may have gone while its request was read; `close` does not come a second time.
  if (response.destroyed) closed();
  else response.once("close", closed);
  return gone.signal;
}
