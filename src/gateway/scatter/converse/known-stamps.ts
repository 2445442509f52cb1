import type { Stamp } from "../../../mesh/stamp.ts";
import { readStamp } from "../../../wire/converse/packed-stamp.ts";

/** Snapshots of a shard that are asked for at the same time. */
const KNOWN_MAX = 8;

interface Known {
  readonly bytes: Buffer;
  readonly stamp: Stamp;
}

/** Stamps are the same from call to call, so most are known by their bytes and not read again. */
export class KnownStamps {
  readonly #byShard = new Map<number, Known[]>();

  /** `shard`: which was asked. Undefined: the bytes are no stamp. */
  read(bytes: Buffer, shard: number): Stamp | undefined {
    const known = this.#byShard.get(shard);
    const found = known?.find((one) => one.bytes.equals(bytes));
    if (found !== undefined) return found.stamp;
    const stamp = readStamp(bytes);
    // One that tells of another shard is refused, and need not be known.
    if (stamp === undefined || stamp.shard !== shard) return stamp;
    const list = known ?? [];
    if (known === undefined) this.#byShard.set(shard, list);
    // A copy: the bytes are part of a frame.
    list.unshift({ bytes: Buffer.from(bytes), stamp });
    if (list.length > KNOWN_MAX) list.pop();
    return stamp;
  }
}
