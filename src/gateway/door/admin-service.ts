import { Server, ServerCredentials } from "@grpc/grpc-js";
import { Fault } from "../../fault/fault.ts";
import { GatewayAdminService } from "../../wire/generated/skynetes/v1/gateway_admin_pb.ts";
import { addUnaryService } from "../../wire/grpc-service.ts";
import type { GatewayAdmin } from "../whole-gateway.ts";

/** Tables carry the descriptors of all versions. */
const ADMIN_MESSAGE_MAX = 64 * 1024 * 1024;

export interface AdminParts {
  readonly gateway: string;
  /** Changes at every start. */
  readonly instance: string;
  readonly admin: GatewayAdmin;
}

export interface RunningAdmin {
  /** host:port. */
  readonly address: string;
  /** Resolves when every call has ended. */
  close(): Promise<void>;
  /** Ends the calls under way. */
  force(): void;
}

/** How the driver of the mesh moves this gateway from table to table. On its own port. */
export async function listenAdmin(host: string, port: number, parts: AdminParts): Promise<RunningAdmin> {
  const server = new Server({ "grpc.max_receive_message_length": ADMIN_MESSAGE_MAX });
  addAdminService(server, parts);
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`${host}:${port}`, ServerCredentials.createInsecure(), (error, taken) => {
      if (error === null) resolve(taken);
      else reject(error);
    });
  });
  return {
    address: `${host}:${bound}`,
    close: () => new Promise<void>((done) => server.tryShutdown(() => done())),
    force: () => server.forceShutdown(),
  };
}

function addAdminService(server: Server, { gateway, instance, admin }: AdminParts): void {
  addUnaryService(server, GatewayAdminService, {
    applyTable: async ({ table }) => {
      if (table === undefined) throw new Fault("invalid-table", "apply table: the request has none");
      return { epoch: await admin.apply(table) };
    },
    verifyRoutes: async ({ table, tuples }, { signal }) => {
      if (table === undefined) throw new Fault("invalid-table", "verify routes: the request has no table");
      const wanted = tuples.map(({ snapshot, version }) => ({ snapshot, version }));
      const failures = await admin.verify(table, wanted, signal);
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
    getGatewayStatus: async () => {
      const { epoch, tableSha256, inUse, differences } = await admin.status();
      const found = differences.map((difference) => ({ ...difference, nodes: [...difference.nodes] }));
      return { gateway, instance, epoch, tableSha256, inUse: [...inUse], differences: found };
    },
  });
}
