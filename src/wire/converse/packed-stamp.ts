import type { Stamp } from "../../mesh/stamp.ts";
import { RepeatedText } from "./repeated-text.ts";
import { WireReader } from "./wire-reader.ts";
import { bytesSize, int32Size, WireWriter } from "./wire-writer.ts";

const TAG = { shard: 0x08, snapshot: 0x12, stateDigest: 0x1a, serviceVersion: 0x22 };

const texts = new RepeatedText();

/**
 * A stamp as it travels. Whoever expects one encodes it once and compares bytes (`Buffer.equals`); where they differ,
 * `readStamp` says by what, since protobuf allows other bytes for the same stamp.
 */
export function encodeStamp(stamp: Stamp): Buffer {
  const snapshot = Buffer.from(stamp.snapshot);
  const stateDigest = Buffer.from(stamp.stateDigest);
  const serviceVersion = Buffer.from(stamp.serviceVersion);
  const size =
    int32Size(stamp.shard) +
    bytesSize(snapshot.length) +
    bytesSize(stateDigest.length) +
    bytesSize(serviceVersion.length);
  const out = new WireWriter(size);
  out.int32(TAG.shard, stamp.shard);
  out.bytes(TAG.snapshot, snapshot);
  out.bytes(TAG.stateDigest, stateDigest);
  out.bytes(TAG.serviceVersion, serviceVersion);
  return out.take();
}

/** Undefined: the bytes are not a Stamp. */
export function readStamp(bytes: Uint8Array): Stamp | undefined {
  try {
    return stampOf(new WireReader(bytes, "bad-partial"));
  } catch {
    return undefined;
  }
}

/** The rest of what the reader is in. */
export function stampOf(reader: WireReader): Stamp {
  const stamp = { shard: 0, snapshot: "", stateDigest: "", serviceVersion: "" };
  while (reader.more) {
    const tag = reader.tag();
    if (tag === TAG.shard) stamp.shard = reader.int32();
    else if (tag === TAG.snapshot) stamp.snapshot = reader.text(texts);
    else if (tag === TAG.stateDigest) stamp.stateDigest = reader.text(texts);
    else if (tag === TAG.serviceVersion) stamp.serviceVersion = reader.text(texts);
    else reader.skip(tag);
  }
  return stamp;
}
