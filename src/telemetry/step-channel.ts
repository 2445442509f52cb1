import { tracingChannel } from "node:diagnostics_channel";

/**
 * The steps of the three ways publish here; `src/telemetry` alone turns what is published into spans and metrics. With
 * nobody subscribed a step costs one property read.
 */
export interface StepEvent {
  /** gateway, node or operator. */
  readonly way: string;
  /** `receive`, `scatter`, `shard call`, `ingest batch`, … */
  readonly step: string;
  /** Facts for spans and metrics: low cardinality names and numbers, filled in while the step runs. */
  readonly facts: Record<string, string | number | boolean>;
  /** The enclosing step, when it is not the one of the calling context. */
  readonly parent?: StepEvent | undefined;
  error?: unknown;
}

export const stepChannel = tracingChannel<StepEvent, StepEvent>("skynetes:step");

/** Runs `work` as a step; its event is passed so that facts can be added. */
export function step<T>(
  way: string,
  name: string,
  facts: StepEvent["facts"],
  work: (event: StepEvent) => Promise<T>,
  parent?: StepEvent,
): Promise<T> {
  const event: StepEvent = { way, step: name, facts, parent };
  if (!stepChannel.hasSubscribers) return work(event);
  return stepChannel.tracePromise(() => work(event), event) as Promise<T>;
}
