/** The numbers of the packed stream. `proto/skynetes/v1/shard.proto` says what each is for. */

/** `/package.Service/Method` of the stream itself. */
export const CONVERSE_PATH = "/skynetes.v1.ShardService/Converse";
/** Of a whole frame as protobuf. */
export const FRAME_BYTES_MAX = 64 * 1024;
/** Of `data` in one fragment. */
export const FRAGMENT_BYTES_MAX = 16 * 1024;
/** A request beyond it goes by unary gRPC. */
export const REQUEST_BYTES_MAX = 32 * 1024;
/** Bytes of data that a call may send before it is granted more. */
export const CREDIT_BYTES = 256 * 1024;
/** Silence of one side after which it says that it is there. */
export const HEARTBEAT_MS = 2_000;
/** Silence of the other side after which a stream is dead. */
export const SILENCE_MAX_MS = 6_000;
/** How long a gateway keeps a stream, and by how much the age of each differs from it either way. */
export const STREAM_AGE_MS = 600_000;
export const STREAM_AGE_SPREAD = 0.2;
/** The greatest id: beyond it a JavaScript number no longer tells two apart. */
export const CALL_ID_MAX = Number.MAX_SAFE_INTEGER;
