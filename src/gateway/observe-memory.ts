import type { Reading, RunningTelemetry } from "../telemetry/start-telemetry.ts";
import type { CacheCounts } from "./cache/bounded-cache.ts";
import type { Gateway } from "./gateway.ts";

/** What queries and caches hold now. How often caches are hit is counted with the queries. */
export function observeMemory(telemetry: RunningTelemetry, gateway: Gateway): void {
  telemetry.observe("skynetes_query_memory_bytes", "Bytes that queries under way hold, as they are counted", () => [
    { value: gateway.memoryHeld, labels: {} },
  ]);
  const read = (of: keyof CacheCounts) => (): Reading[] =>
    Object.entries(gateway.shared.counts).map(([part, counts]) => ({ value: counts[of], labels: { part } }));
  telemetry.observe("skynetes_cache_bytes", "Bytes in the gateway's caches, keys and overhead included", read("bytes"));
  telemetry.observe("skynetes_cache_entries", "Entries in the gateway's caches", read("entries"));
  const evictions = "Entries of the gateway's caches that others took the place of";
  telemetry.observeCount("skynetes_cache_evictions", evictions, read("evictions"));
  const { threads } = gateway;
  telemetry.observe("skynetes_merge_threads_busy", "Threads that work for a large merge", () => [
    { value: threads.busy, labels: {} },
  ]);
  telemetry.observeCount("skynetes_merge_thread_deaths", "Merge threads that ended by themselves", () => [
    { value: threads.deaths, labels: {} },
  ]);
  telemetry.observe("skynetes_joinable_gatherings", "Questions under way that further queries may join", () => [
    { value: gateway.shared.joinable, labels: {} },
  ]);
}
