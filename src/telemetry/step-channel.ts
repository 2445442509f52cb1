import { channel, tracingChannel } from "node:diagnostics_channel";

/**
 * The steps of the three ways publish here; `src/telemetry` alone turns what is published into spans and metrics. With
 * nobody subscribed a step costs a few property reads.
 */
export interface StepEvent {
  /** gateway, node or operator. */
  readonly way: string;
  /** `receive`, `scatter`, `shard call`, `ingest batch`, … */
  readonly step: string;
  /** Facts for spans and metrics: low cardinality names and numbers, filled in while the step runs. */
  readonly facts: Record<string, string | number | boolean>;
  /** The enclosing step, when it is not the one of the calling context. */
  readonly parent: StepEvent | undefined;
  /** Put in by whoever times steps, by its own clock; NaN: nobody did when it began. */
  startedAt: number;
  error: unknown;
}

/** With the context that a step runs in, for those who must know which step is inside which: it costs microseconds. */
export const stepChannel = tracingChannel<StepEvent, StepEvent>("skynetes:step");

/** Begin and end of a `StepEvent` only, for those who count and time: it costs a tenth of that. */
export const stepBegins = channel("skynetes:step:begins");
export const stepEnds = channel("skynetes:step:ends");

/** Runs `work` as a step; its event is passed so that facts can be added. */
export function step<T>(
  way: string,
  name: string,
  facts: StepEvent["facts"],
  work: (event: StepEvent) => Promise<T>,
  parent?: StepEvent,
): Promise<T> {
  const event: StepEvent = { way, step: name, facts, parent, startedAt: Number.NaN, error: undefined };
  if (!stepChannel.hasSubscribers) return counted(event, work);
  return stepChannel.tracePromise(() => counted(event, work), event) as Promise<T>;
}

function counted<T>(event: StepEvent, work: (event: StepEvent) => Promise<T>): Promise<T> {
  return stepEnds.hasSubscribers ? published(event, work) : work(event);
}

/** One promise for a step, not the three of an async function that waits: each shard call is a step. */
function published<T>(event: StepEvent, work: (event: StepEvent) => Promise<T>): Promise<T> {
  stepBegins.publish(event);
  const failed = (error: unknown) => {
    event.error = error;
    stepEnds.publish(event);
    throw error;
  };
  let running: Promise<T>;
  try {
    running = work(event);
  } catch (error) {
    return Promise.reject(error).catch(failed);
  }
  return running.then((value) => {
    stepEnds.publish(event);
    return value;
  }, failed);
}
