import { planDigest } from "../../merge-plan/plan-digest.ts";
import type { ResolvedQuery } from "../resolve/resolve-query.ts";
import type { RoutingState } from "../table/routing-state.ts";
import { entityTagger } from "./entity-tag.ts";

/** By what a table names: snapshot, service version and method. */
const taggers = new WeakMap<RoutingState, Map<string, (request: Uint8Array) => string>>();

/** The strong tag of the answer to a request that is in protobuf's wire format. */
export function requestTag({ state, snapshot, version, plan }: ResolvedQuery, request: Uint8Array): string {
  const ofState = taggers.get(state) ?? new Map<string, (request: Uint8Array) => string>();
  taggers.set(state, ofState);
  const method = `${version.service}/${plan.method.name}`;
  const key = `${snapshot.id} ${version.name} ${method}`;
  let tagger = ofState.get(key);
  if (tagger === undefined) {
    tagger = entityTagger({
      snapshot: snapshot.id,
      rows: snapshot.rows,
      stateDigests: state.shards.map((shard) => snapshot.shardSeals.get(shard)?.stateDigest ?? ""),
      version: version.name,
      planDigest: planDigest(plan),
      method,
      format: "application/json",
    });
    ofState.set(key, tagger);
  }
  return tagger(request);
}
