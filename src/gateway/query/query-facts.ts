import type { StepEvent } from "../../telemetry/step-channel.ts";
import type { CacheOutcome } from "../cache/shared-answers.ts";
import type { PreparedQuery } from "./prepared-query.ts";

/** What metrics and spans are told of a query when it begins. */
export function queryFacts({ id, resolved, intent }: PreparedQuery): StepEvent["facts"] {
  const { version, plan, snapshot } = resolved;
  return {
    service: version.service,
    method: plan.method.name,
    snapshot: snapshot.id,
    version: version.name,
    queryId: id,
    ...(intent.traceparent === undefined ? {} : { traceparent: intent.traceparent }),
  };
}

/** And what of the caches, when it has its answer. Partials are counted for who has asked for them. */
export function addCacheFacts({ facts }: StepEvent, { answer, isCollapsed, partials }: CacheOutcome): void {
  facts.cache = isCollapsed ? "collapsed" : answer;
  if (isCollapsed || partials === undefined) return;
  facts.partialsAsked = partials.asked;
  facts.partialsFound = partials.found;
}
