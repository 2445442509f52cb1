import type { RouteTable } from "../wire/generated/skynetes/v1/table_pb.ts";
import type { GatewayStatus } from "./observed-mesh.ts";
import { hasTuple, tuplesOf } from "./route-tuple.ts";

/**
 * Whether a gateway that lost its lease may have one again: it works from the table in force, and none of its queries is
 * on what that table does not name. Such a query began before the lease was lost, and what it is on was not kept for it:
 * an unbind may be under way, and would be one from under a lease holder.
 */
export function mayHoldLeaseAgain(
  status: Pick<GatewayStatus, "epoch" | "inUse">,
  table: RouteTable | undefined,
): boolean {
  const routed = tuplesOf(table);
  return (
    status.epoch === (table?.epoch ?? 0n) &&
    status.inUse.every(({ snapshot, version, queries }) => queries === 0 || hasTuple(routed, snapshot, version))
  );
}
