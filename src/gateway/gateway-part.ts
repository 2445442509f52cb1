import { Fault } from "../fault/fault.ts";
import type { RunningTelemetry } from "../telemetry/start-telemetry.ts";
import type { QueryRegister } from "./query/query-register.ts";
import type { FoundDifference } from "./scatter/replica-audit.ts";
import type { TableKeeper } from "./table/table-keeper.ts";
import type { GatewayPart } from "./whole-gateway.ts";

export interface PartState {
  readonly tables: TableKeeper;
  readonly register: QueryRegister;
  readonly isClosing: () => boolean;
  readonly telemetry: RunningTelemetry | undefined;
  /** What audits have found. */
  readonly differences: () => readonly FoundDifference[];
}

/** What this process knows and does by itself. */
export function gatewayPart({ tables, register, isClosing, telemetry, differences }: PartState): GatewayPart {
  return {
    queries: async () => register.list(),
    cancel: async (id) => register.cancel(id),
    async ready() {
      if (isClosing()) throw new Fault("not-ready", "the gateway is closing");
      return tables.current().epoch;
    },
    async metrics() {
      if (telemetry === undefined) throw new Fault("unknown-path", "GET /metrics: telemetry is off");
      return telemetry.prometheusText();
    },
    prepare: (table) => tables.prepare(table),
    apply: (table) => tables.apply(table),
    verify: (table, wanted, signal) => tables.verify(table, wanted, signal),
    async status() {
      const { epoch = 0n, sha256 = "" } = tables.loaded ?? {};
      return { epoch, tableSha256: sha256, inUse: register.inUse(), differences: differences() };
    },
  };
}
