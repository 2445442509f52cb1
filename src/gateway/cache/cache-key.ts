/**
 * What a kept thing depends on, all of it: a key that says less would serve one query with another's answer. Parts are put
 * into JSON, which keeps them apart whatever is in them, and hashed, so that a key is short however long the request.
 */
import { createHash } from "node:crypto";
import type { MethodPlan } from "../../merge-plan/method-plan.ts";
import { planDigest } from "../../merge-plan/plan-digest.ts";
import type { Stamp } from "../../mesh/stamp.ts";
import type { PreparedQuery } from "../query/prepared-query.ts";
import type { ResolvedQuery } from "../resolve/resolve-query.ts";

/** Who may see it. Shards are told nothing of a caller, so all callers see the same; a tenant would stand here. */
const SCOPE = "anonymous";
/** How a partial's bytes are to be read. */
const PARTIAL_FORMAT = "message";

/** By plan, which belongs to one service version. */
const headings = new WeakMap<MethodPlan, string>();

/**
 * Of one request to a shard, as it is sent: the same for all shards that it is sent to. `request` is canonical, and
 * already rewritten for the round.
 */
export function shardRequestKey({ plan, version, snapshot }: ResolvedQuery, request: Uint8Array): string {
  let heading = headings.get(plan);
  if (heading === undefined) {
    const parts = [SCOPE, PARTIAL_FORMAT, version.service, version.name, version.descriptorsSha256];
    heading = JSON.stringify([...parts, planDigest(plan), plan.method.name]);
    headings.set(plan, heading);
  }
  const dependsOn = plan.snapshotDependent ? JSON.stringify([snapshot.id, snapshot.createdAtMs]) : "";
  // The request comes last and is the rest.
  return createHash("sha256").update(`${heading}\n${dependsOn}\n`).update(request).digest("base64url");
}

/** Of what one shard answers to it: also the shard, which `load` is told, and the state that it holds. */
export function partialKey(requestKey: string, { shard, stateDigest }: Stamp): string {
  return `${requestKey} ${shard} ${stateDigest}`;
}

/** Of a whole answer. The entity tag covers snapshot, states, version, plan, method and request. */
export function answerKey({ tag }: PreparedQuery): string | undefined {
  return tag === undefined ? undefined : `${SCOPE} ${tag}`;
}

/**
 * Of queries that may be answered together: one answer, from one route table, with one wish for completeness. Another
 * table may have other placements, and faults tell of those.
 */
export function joinKey(query: PreparedQuery): string | undefined {
  const key = answerKey(query);
  const { quality } = query.intent;
  if (key === undefined) return undefined;
  return `${key} ${query.resolved.state.epoch} ${quality.kind === "strict" ? "strict" : quality.min}`;
}
