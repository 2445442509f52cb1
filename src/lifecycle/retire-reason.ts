import { RetireReason as RouteReason } from "../wire/generated/skynetes/v1/table_pb.ts";
import type { RetireReason } from "./retirement.ts";

/** As the wire says it. */
export const RETIRE_REASON: Readonly<Record<RetireReason, RouteReason>> = {
  Person: RouteReason.PERSON,
  Keep: RouteReason.KEEP,
  KeepFor: RouteReason.KEEP_FOR,
};
