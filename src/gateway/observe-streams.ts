import type { RunningTelemetry } from "../telemetry/start-telemetry.ts";
import type { StreamCounts } from "./scatter/converse/stream-counts.ts";

/** Calls divided by frames say how well calls are packed. */
export function observeStreams(telemetry: RunningTelemetry, counts: StreamCounts): void {
  const one = (value: number) => [{ value, labels: {} }];
  telemetry.observe("skynetes_streams_open", "Packed streams to service processes", () => one(counts.open));
  telemetry.observeCount("skynetes_stream_frames_sent", "Frames on packed streams", () => one(counts.framesSent));
  telemetry.observeCount("skynetes_stream_calls_sent", "Shard calls in those frames", () => one(counts.callsSent));
  telemetry.observeCount("skynetes_streams_lost", "Packed streams that ended before their time", () =>
    [...counts.lost].map(([reason, value]) => ({ value, labels: { reason } })),
  );
  telemetry.observeCount("skynetes_sentinels_denied", "Calls beside the streams that a policy denied", () =>
    one(counts.sentinelsDenied),
  );
}
