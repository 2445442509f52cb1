/**
 * Metadata that gateway, service kit and Istio generator agree on. Inbound copies from clients are stripped at the
 * front door, except SNAPSHOT and COMPLETENESS.
 */
export const ROUTE_HEADERS = {
  /** Service version a call must reach; Istio routes on it. */
  version: "x-skynetes-version",
  /** Node whose replica a call must reach; Istio routes on it. */
  placement: "x-skynetes-placement",
  /** Shard number, decimal. */
  shard: "x-skynetes-shard",
  snapshot: "x-skynetes-snapshot",
} as const;

/** Initial metadata of a partial: a protobuf Stamp. */
export const STAMP_HEADER = "x-skynetes-stamp-bin";
/** Trailing metadata of a partial of a method with a `top` rule: a protobuf TopBounds. */
export const BOUNDS_HEADER = "x-skynetes-bounds-bin";
/** Trailing metadata of a partial, and a call's wish: `columns`; absent: the method's response message. */
export const PARTIAL_FORMAT_HEADER = "x-skynetes-partial-format";
/** Of a packed stream for large partials, on a connection of its own: `bulk`. */
export const STREAM_HEADER = "x-skynetes-stream";
/** A client's wish: `strict`, or `partial;min=0.5`. */
export const COMPLETENESS_HEADER = "x-skynetes-completeness";
/** Trailing metadata of an answer over gRPC, a header over HTTP: a protobuf Completeness of at most 4 KiB. */
export const COMPLETENESS_BIN_HEADER = "x-skynetes-completeness-bin";
/** A client's lower bound on the route table's epoch, so that `latest` does not go backwards between gateways. */
export const AT_LEAST_HEADER = "x-skynetes-at-least";
/** Epoch of the table that answered. */
export const EPOCH_HEADER = "x-skynetes-epoch";
