import type { PreparedQuery } from "../query/prepared-query.ts";
import type { QueryProfile, ShardVisit } from "../query/query-profile.ts";
import type { ProfileJson, VisitJson } from "./profile-json.ts";
import { profileText } from "./profile-text.ts";

/** How a query was answered, for programs and, in `text`, for people. */
export function describeProfile(query: PreparedQuery, profile: QueryProfile): ProfileJson {
  const { plan, snapshot, version, state } = query.resolved;
  const visits = [...profile.visits].sort((a, b) => a.round - b.round || a.shard - b.shard);
  const shards = visits.map((visit) => visitJson(visit));
  const known = shards.filter((shard) => shard.attempts !== undefined);
  const described: Omit<ProfileJson, "text"> = {
    snapshot: { id: snapshot.id, version: version.name, epoch: state.epoch.toString() },
    totals: {
      totalMs: rounded(profile.elapsedMs),
      stepMs: Object.fromEntries([...query.timings].map(([name, ms]) => [name, rounded(ms)])),
      rounds: Math.max(0, ...shards.map((shard) => shard.round)),
      questions: shards.length,
      cached: shards.filter((shard) => shard.cached).length,
      failed: shards.filter((shard) => shard.fault !== undefined).length,
      ...(known.length === 0
        ? {}
        : {
            attempts: known.reduce((sum, shard) => sum + (shard.attempts ?? 0), 0),
            hedged: known.filter((shard) => shard.hedged).length,
          }),
      bytes: shards.reduce((sum, shard) => sum + shard.bytes, 0),
    },
    shards,
    leftOut: [...query.pruned].map(([shard, reason]) => ({ shard, reason })),
  };
  return { ...described, text: profileText(`${version.service}/${plan.method.name}`, described) };
}

function visitJson(visit: ShardVisit): VisitJson {
  const { facts, askedMs, answeredMs, mergedMs } = visit;
  const { call, timing } = facts;
  const inServiceMs = timing === undefined ? undefined : (timing.queueUs + timing.serviceUs) / 1000;
  const networkMs = call === undefined || inServiceMs === undefined ? undefined : call.tookMs - inServiceMs;
  const all = {
    shard: visit.shard,
    round: visit.round,
    node: call?.node,
    pod: facts.pod,
    transport: facts.transport,
    attempts: call?.attempts,
    hedged: call?.hedged,
    wonBy: call?.wonBy,
    cached: visit.isCached,
    askedMs: rounded(askedMs),
    answerMs: answeredMs === undefined ? undefined : rounded(answeredMs - askedMs),
    placementQueueMs: call === undefined ? undefined : rounded(call.queuedMs),
    serviceQueueMs: timing === undefined ? undefined : rounded(timing.queueUs / 1000),
    serviceMs: timing === undefined ? undefined : rounded(timing.serviceUs / 1000),
    networkMs: networkMs === undefined ? undefined : rounded(Math.max(0, networkMs)),
    mergeMs: answeredMs === undefined || mergedMs === undefined ? undefined : rounded(mergedMs - answeredMs),
    bytes: visit.bytes,
    groups: visit.groups,
    rows: visit.rows,
    callsInFrame: facts.callsInFrame,
    fault: visit.fault?.id,
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)) as unknown as VisitJson;
}

/** To microseconds. */
function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
