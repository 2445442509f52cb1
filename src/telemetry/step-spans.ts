import { AsyncLocalStorage } from "node:async_hooks";
import {
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from "@opentelemetry/api";
import { type StepEvent, stepChannel } from "./step-channel.ts";

/** Steps that begin in another process's call, or make one: their kinds let a viewer join the two sides. */
const KINDS: Readonly<Record<string, SpanKind>> = {
  "gateway query": SpanKind.SERVER,
  "gateway shard call": SpanKind.CLIENT,
  "service call": SpanKind.SERVER,
};

/**
 * A span for each step. The step that runs is kept in async context, so that a step begun inside it is its child; a
 * step with a `traceparent` among its facts continues the caller's trace.
 */
export class StepSpans {
  readonly #tracer: Tracer;
  readonly #running = new AsyncLocalStorage<StepEvent>();
  readonly #spans = new WeakMap<StepEvent, Span>();

  constructor(tracer: Tracer) {
    this.#tracer = tracer;
  }

  /** Begins to follow the steps; returns what ends it. */
  follow(): () => void {
    stepChannel.start.bindStore(this.#running, (event) => {
      this.#spans.set(event, this.#begin(event));
      return event;
    });
    const settle = (event: StepEvent) => this.#end(event);
    const settleThrown = (event: StepEvent) => {
      // `end` comes when the step's function has returned; only one that threw at once is over by then.
      if (event.error !== undefined) this.#end(event);
    };
    const subscription = { asyncEnd: settle, end: settleThrown, start: nothing, asyncStart: nothing, error: nothing };
    stepChannel.subscribe(subscription);
    return () => {
      stepChannel.unsubscribe(subscription);
      stepChannel.start.unbindStore(this.#running);
    };
  }

  /** W3C trace context of the step that runs now. */
  traceparent(): string | undefined {
    const context = this.#spanOf(this.#running.getStore())?.spanContext();
    if (context === undefined) return undefined;
    return `00-${context.traceId}-${context.spanId}-${context.traceFlags.toString(16).padStart(2, "0")}`;
  }

  #begin(event: StepEvent): Span {
    const parent = this.#spanOf(event.parent ?? this.#running.getStore());
    const remote = parent === undefined ? remoteContext(event.facts.traceparent) : undefined;
    const context =
      parent !== undefined
        ? trace.setSpan(ROOT_CONTEXT, parent)
        : remote !== undefined
          ? trace.setSpanContext(ROOT_CONTEXT, remote)
          : ROOT_CONTEXT;
    const name = `${event.way} ${event.step}`;
    return this.#tracer.startSpan(name, { kind: KINDS[name] ?? SpanKind.INTERNAL }, context);
  }

  #spanOf(event: StepEvent | undefined): Span | undefined {
    return event === undefined ? undefined : this.#spans.get(event);
  }

  #end(event: StepEvent): void {
    const span = this.#spans.get(event);
    if (span === undefined) return;
    if (!span.isRecording()) return;
    // Facts are read at the end: a step adds to them while it runs.
    for (const [name, value] of Object.entries(event.facts)) {
      if (name !== "traceparent") span.setAttribute(`skynetes.${name}`, value);
    }
    if (event.error !== undefined) {
      const message = event.error instanceof Error ? event.error.message : String(event.error);
      span.setStatus({ code: SpanStatusCode.ERROR, message });
    }
    span.end();
  }
}

function nothing(): void {}

/** The receive step has checked its form. */
function remoteContext(traceparent: unknown): SpanContext | undefined {
  if (typeof traceparent !== "string") return undefined;
  const [, traceId, spanId, flags] = traceparent.split("-");
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true };
}
