import type { Reading, RunningTelemetry } from "../telemetry/start-telemetry.ts";
import type { PartitionLag } from "./ingest/partition-lag.ts";

/** What a node's ingest has come to, whenever it is read. */
export interface ObservedIngest {
  readonly heldBytes: number;
  readonly shards: readonly { readonly shard: number; readonly lags: readonly PartitionLag[] }[];
}

/** Read when somebody collects. Offsets are doubles here, exact below 2^53; a status tells them to the digit. */
export function observeIngest(telemetry: RunningTelemetry, ingest: ObservedIngest): void {
  const gauge = (name: string, description: string, read: (lag: PartitionLag) => number | undefined) =>
    telemetry.observe(name, description, () => readings(ingest, read));
  gauge("skynetes_ingest_position", "The next offset to apply", ({ position }) => Number(position));
  gauge("skynetes_ingest_bound", "Where the partition ended when it was last read", ({ bound }) =>
    bound === undefined ? undefined : Number(bound),
  );
  gauge("skynetes_ingest_lag_records", "Offsets from the position to the bound", ({ records }) => Number(records));
  gauge(
    "skynetes_ingest_behind_seconds",
    "Since everything that the log had was committed",
    ({ behindMs }) => behindMs / 1000,
  );
  telemetry.observe("skynetes_ingest_held_bytes", "Bytes of records between the log and the stores", () => [
    { value: ingest.heldBytes, labels: {} },
  ]);
}

function readings({ shards }: ObservedIngest, read: (lag: PartitionLag) => number | undefined): readonly Reading[] {
  return shards.flatMap(({ shard, lags }) =>
    lags.flatMap((lag) => {
      const value = read(lag);
      const labels = { shard: String(shard), topic: lag.topic, partition: String(lag.partition) };
      return value === undefined ? [] : [{ value, labels }];
    }),
  );
}
