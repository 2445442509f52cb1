import { constants, type Http2Stream } from "node:http2";
import type { RawStreamCall } from "./raw-service.ts";

/**
 * Ends a call whose reader takes nothing. A status would wait behind the message that is not taken, and grpc-js has no
 * way to reset a call; its object holds the HTTP/2 stream, which has. Without one the connection's age is the limit.
 */
export function resetCall(call: RawStreamCall): void {
  const { stream } = (call as unknown as { call?: { stream?: Http2Stream } }).call ?? {};
  stream?.close(constants.NGHTTP2_CANCEL);
}
