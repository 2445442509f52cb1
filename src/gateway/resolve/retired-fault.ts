import { timestampDate } from "@bufbuild/protobuf/wkt";
import { Fault } from "../../fault/fault.ts";
import { type RetiredSnapshot, RetireReason } from "../../wire/generated/skynetes/v1/table_pb.ts";

/** `snapshot-retired` or `snapshot-expired`: who took it out, and when. */
export function retiredFault({ id, retiredAt, reason }: RetiredSnapshot): Fault {
  const when = retiredAt === undefined ? "" : ` at ${timestampDate(retiredAt).toISOString()}`;
  const attempted = `resolve snapshot "${id}"`;
  switch (reason) {
    case RetireReason.KEEP:
      return new Fault("snapshot-expired", `${attempted}: the schedule retired it${when}, since newer ones are kept`);
    case RetireReason.KEEP_FOR:
      return new Fault("snapshot-expired", `${attempted}: the schedule retired it${when}, since none is kept so long`);
    case RetireReason.PERSON:
      return new Fault("snapshot-retired", `${attempted}: it was retired by hand${when}`);
    default:
      return new Fault("snapshot-retired", `${attempted}: it is retired`);
  }
}
