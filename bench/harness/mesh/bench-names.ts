import type { ServiceVersionName } from "../../../src/mesh/service-version.ts";

/** Names that all processes of a benchmark agree on. */
export const MESH = "bench";
export const SERVICE = "bench.v1.BenchService";
export const SNAPSHOT = "s1";
export const VERSION = "bench-v1-00000001" as ServiceVersionName;
/** Rows of each shard in the seal. */
export const SNAPSHOT_ROWS = 1_000;

/** One pod serves one shard at one placement; its node is named so. */
export function nodeOf(shard: number, placement: number): string {
  return `node-${shard}-${"abcdefgh"[placement]}`;
}

export function stateDigestOf(shard: number): string {
  return shard.toString(16).padStart(32, "0");
}
