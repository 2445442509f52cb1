import { describePlan } from "../../merge-plan/describe-plan.ts";
import type { PreparedQuery } from "../query/prepared-query.ts";

export interface Explanation {
  readonly snapshot: { readonly id: string; readonly version: string; readonly epoch: string };
  readonly shards: {
    readonly asked: readonly {
      readonly shard: number;
      readonly rows: string;
      readonly placements: readonly string[];
    }[];
    readonly leftOut: readonly { readonly shard: number; readonly reason: string }[];
  };
  readonly etag: string | null;
  readonly text: string;
}

/** How a query would be answered: what is resolved, which shards are asked and why not the others, how it merges. */
export function explainQuery(query: PreparedQuery): Explanation {
  const { plan, snapshot, version, state } = query.resolved;
  const lines = [
    `${version.service}/${plan.method.name} at snapshot ${snapshot.id}, version ${version.name}, epoch ${state.epoch}`,
    `shards asked: ${query.asked.join(", ") || "none"}`,
    ...[...query.pruned].map(([shard, reason]) => `shard ${shard} left out: ${reason}`),
    "",
    describePlan(plan),
  ];
  return {
    snapshot: { id: snapshot.id, version: version.name, epoch: state.epoch.toString() },
    shards: {
      asked: query.asked.map((shard) => ({
        shard,
        rows: (snapshot.shardSeals.get(shard)?.rows ?? 0n).toString(),
        placements: (state.endpoints.get(version.name)?.get(shard) ?? []).map((endpoint) => endpoint.node),
      })),
      leftOut: [...query.pruned].map(([shard, reason]) => ({ shard, reason })),
    },
    etag: query.tag ?? null,
    text: lines.join("\n"),
  };
}
