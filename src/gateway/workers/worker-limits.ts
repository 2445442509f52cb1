import type { GatewayLimits } from "../gateway-config.ts";

/** What all workers of a gateway share: each gets its part. Other limits are of one query, one message or one wait. */
const SHARED = [
  "queriesMax",
  "queueMax",
  "concurrencyInitial",
  "connectionsMax",
  "memoryBytesMax",
  "cacheBytesMax",
  "mergeThreadsMax",
] as const;

/** The limits of one of so many workers. */
export function workerLimits(limits: GatewayLimits, workers: number): GatewayLimits {
  const parts = SHARED.map((name) => [name, Math.ceil(limits[name] / workers)]);
  return { ...limits, ...Object.fromEntries(parts) };
}
