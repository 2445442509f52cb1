/**
 * The only place that knows OpenTelemetry. It follows the steps that the ways publish and turns them into metrics, and
 * into spans where somebody collects them. A process that never calls `startTelemetry` pays one property read a step.
 */
import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-proto";
import { PrometheusSerializer } from "@opentelemetry/exporter-prometheus";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { defaultResource, resourceFromAttributes } from "@opentelemetry/resources";
import {
  type IMetricReader,
  MeterProvider,
  MetricReader,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  type SpanExporter,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import { OwnNumbers } from "./own-numbers.ts";
import { StepMetrics } from "./step-metrics.ts";
import { StepSpans } from "./step-spans.ts";
import { readTraceparentWith } from "./trace-context.ts";

const SCOPE = "skynetes";
/** A collector that is down must cost neither memory nor latency: what does not fit the queue is dropped. */
const SPAN_QUEUE_MAX = 2048;
const EXPORT_EVERY_MS = 15_000;
/** Closing does not wait longer for a collector that is away. */
const FLUSH_MS = 2_000;

export interface TelemetryConfig {
  /** `skynetes-gateway`, `skynetes-node`, …: the resource's `service.name`. */
  readonly serviceName: string;
  /** Name among its kind. */
  readonly instance: string;
  /**
   * Where OTEL_EXPORTER_OTLP_ENDPOINT (and the standard's other variables) is looked up; without it nothing is sent and
   * no spans are made. SKYNETES_TRACE_RATIO: share of traces begun here that are sampled, 1 unless set.
   */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Gets the spans instead of OTLP. */
  readonly spanExporter?: SpanExporter;
}

export interface Reading {
  readonly value: number;
  readonly labels: Readonly<Record<string, string>>;
}

export interface RunningTelemetry {
  /** Metrics in Prometheus's text format 0.0.4. */
  prometheusText(): Promise<string>;
  /** A gauge that is read whenever somebody looks. */
  observe(name: string, description: string, read: () => readonly Reading[]): void;
  /** The same for what only grows. */
  observeCount(name: string, description: string, read: () => readonly Reading[]): void;
  /** Sends what is left, for at most two seconds. */
  close(): Promise<void>;
}

export function startTelemetry(config: TelemetryConfig): RunningTelemetry {
  const resource = defaultResource().merge(
    resourceFromAttributes({ "service.name": config.serviceName, "service.instance.id": config.instance }),
  );
  const isSent = (config.environment.OTEL_EXPORTER_OTLP_ENDPOINT ?? "") !== "";

  const numbers = new OwnNumbers(SCOPE, () => Date.now());
  const metricProducers = [numbers];
  const pulled = new PulledReader({ metricProducers });
  const readers: IMetricReader[] = [pulled];
  if (isSent) {
    const exporter = new OTLPMetricExporter();
    const exportIntervalMillis = EXPORT_EVERY_MS;
    readers.push(new PeriodicExportingMetricReader({ exporter, exportIntervalMillis, metricProducers }));
  }
  const meters = new MeterProvider({ resource, readers });
  const meter = meters.getMeter(SCOPE);
  const stopMetrics = new StepMetrics(numbers, () => performance.now()).follow();

  const tracers = tracerProvider(config, resource, isSent);
  let stopSpans = () => {};
  if (tracers !== undefined) {
    const spans = new StepSpans(tracers.getTracer(SCOPE));
    const unfollow = spans.follow();
    readTraceparentWith(() => spans.traceparent());
    stopSpans = () => {
      readTraceparentWith(undefined);
      unfollow();
    };
  }

  const serializer = new PrometheusSerializer();
  return {
    async prometheusText() {
      const { resourceMetrics } = await pulled.collect();
      return serializer.serialize(resourceMetrics);
    },
    observe(name, description, read) {
      meter.createObservableGauge(name, { description }).addCallback((result) => {
        for (const { value, labels } of read()) result.observe(value, labels);
      });
    },
    observeCount(name, description, read) {
      meter.createObservableCounter(name, { description }).addCallback((result) => {
        for (const { value, labels } of read()) result.observe(value, labels);
      });
    },
    async close() {
      stopSpans();
      stopMetrics();
      const flushed = Promise.allSettled([tracers?.shutdown(), meters.shutdown({ timeoutMillis: FLUSH_MS })]);
      await Promise.race([flushed, new Promise((resolve) => setTimeout(resolve, FLUSH_MS).unref())]);
    },
  };
}

function tracerProvider(
  config: TelemetryConfig,
  resource: ReturnType<typeof defaultResource>,
  isSent: boolean,
): TracerProvider | undefined {
  if (!isSent && config.spanExporter === undefined) return undefined;
  const exporter = config.spanExporter ?? new OTLPTraceExporter();
  const ratio = Number(config.environment.SKYNETES_TRACE_RATIO ?? "1");
  return new TracerProvider({
    resource,
    // The caller's decision holds, so that a trace is whole or not there.
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(Number.isFinite(ratio) ? ratio : 1) }),
    spanProcessors: [new BatchSpanProcessor({ exporter, maxQueueSize: SPAN_QUEUE_MAX })],
  });
}

/** Collects when /metrics is asked. */
class PulledReader extends MetricReader {
  protected override async onForceFlush(): Promise<void> {}
  protected override async onShutdown(): Promise<void> {}
}
