import { type DescMessage, fromBinary, type Message } from "@bufbuild/protobuf";
import { Fault } from "../../fault/fault.ts";
import type { Partial } from "./merge-execution.ts";

/** The whole message of a partial. Faults: `bad-partial` naming the shard. */
export function decodePartial(desc: DescMessage, { shard, message }: Pick<Partial, "shard" | "message">): Message {
  try {
    return fromBinary(desc, message);
  } catch (error) {
    throw new Fault("bad-partial", `read partial of shard ${shard}: ${(error as Error).message}`, { shard }, error);
  }
}
