import { constants, type Http2Stream } from "node:http2";

/**
 * Ends a call whose peer takes nothing. A status would wait behind the message that is not taken, and grpc-js has no
 * way to reset a call of a server; its object holds the HTTP/2 stream, which has. Without one the connection's age is
 * the limit.
 */
export function resetCall(call: object): void {
  const { stream } = (call as { call?: { stream?: Http2Stream } }).call ?? {};
  stream?.close(constants.NGHTTP2_CANCEL);
}
