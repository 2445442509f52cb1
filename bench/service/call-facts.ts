/** What the answering services and those who measure calls of them agree on. */
export const PATH = "/bench.v1.Bench/Ask";
export const SNAPSHOT = "s1";
export const VERSION = "bench-v1-00000001";

export function stampOf(shard: number) {
  return { shard, snapshot: SNAPSHOT, stateDigest: "0123456789abcdef".repeat(4), serviceVersion: VERSION };
}
