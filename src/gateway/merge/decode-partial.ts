import { type DescMessage, fromBinary, type Message } from "@bufbuild/protobuf";
import { Fault } from "../../fault/fault.ts";
import type { Partial } from "./merge-execution.ts";

/** What the version's descriptors do not have is no part of an answer: of equal values either may be kept. */
export const KNOWN_FIELDS = { readUnknownFields: false };

/** The whole message of a partial. Faults: `bad-partial` naming the shard. */
export function decodePartial(desc: DescMessage, { shard, message }: Pick<Partial, "shard" | "message">): Message {
  try {
    return fromBinary(desc, message, KNOWN_FIELDS);
  } catch (error) {
    throw new Fault("bad-partial", `read partial of shard ${shard}: ${(error as Error).message}`, { shard }, error);
  }
}
