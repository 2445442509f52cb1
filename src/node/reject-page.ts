import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Fault } from "../fault/fault.ts";
import type { RejectSchema } from "../wire/generated/skynetes/v1/reject_pb.ts";
import type { RejectedRecord } from "./store/shard-store.ts";

const LIMIT_MAX = 1_000;
/** Well below what a gRPC message may hold; one record alone may be larger. */
const PAGE_BYTES_MAX = 1024 * 1024;

export function checkedLimit(limit: number): number {
  if (limit >= 1 && limit <= LIMIT_MAX) return limit;
  throw new Fault("invalid-request", `read rejects: limit ${limit} is not from 1 to ${LIMIT_MAX}`);
}

/** As many as fit into one reply, at least one. */
export function rejectPage(rejects: readonly RejectedRecord[]): MessageInitShape<typeof RejectSchema>[] {
  let bytes = 0;
  const fits = rejects.findIndex(({ key, value }, i) => {
    bytes += (key?.length ?? 0) + (value?.length ?? 0);
    return i > 0 && bytes > PAGE_BYTES_MAX;
  });
  return rejects
    .slice(0, fits < 0 ? undefined : fits)
    .map(({ topic, partition, offset, timestampMs, reason, key, value }) => ({
      place: { topic, partition, offset },
      timestamp: timestampFromMs(timestampMs),
      reason,
      ...(key === null ? {} : { key }),
      ...(value === null ? {} : { value }),
    }));
}
