import type { Server } from "@grpc/grpc-js";
import { Fault } from "../../fault/fault.ts";
import { GatewayAdminService } from "../../wire/generated/skynetes/v1/gateway_admin_pb.ts";
import { addUnaryService } from "../../wire/grpc-service.ts";
import type { QueryRegister } from "../query/query-register.ts";
import type { TableKeeper } from "../table/table-keeper.ts";

/** How the driver of the mesh moves this gateway from table to table. On its own port. */
export function addAdminService(
  server: Server,
  parts: {
    readonly gateway: string;
    readonly instance: string;
    readonly tables: TableKeeper;
    readonly register: QueryRegister;
  },
): void {
  const { gateway, instance, tables, register } = parts;
  addUnaryService(server, GatewayAdminService, {
    applyTable: async ({ table }) => {
      if (table === undefined) throw new Fault("invalid-table", "apply table: the request has none");
      return { epoch: await tables.apply(table) };
    },
    verifyRoutes: async ({ table, tuples }, { signal }) => {
      if (table === undefined) throw new Fault("invalid-table", "verify routes: the request has no table");
      const wanted = tuples.map(({ snapshot, version }) => ({ snapshot, version }));
      const failures = await tables.verify(table, wanted, signal);
      return {
        verified: failures.length === 0,
        failures: failures.map(({ tuple, shard, node, reason, answered }) => ({
          tuple,
          shard,
          node,
          reason,
          ...(answered === undefined ? {} : { answered }),
        })),
      };
    },
    getGatewayStatus: () => ({
      gateway,
      instance,
      epoch: tables.loaded?.epoch ?? 0n,
      tableSha256: tables.loaded?.sha256 ?? "",
      inUse: register.inUse(),
    }),
  });
}
