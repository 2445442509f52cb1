import { PrometheusSerializer } from "@opentelemetry/exporter-prometheus";
import { emptyResource } from "@opentelemetry/resources";
import { MeterProvider, MetricReader } from "@opentelemetry/sdk-metrics";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { OwnNumbers } from "../../src/telemetry/own-numbers.ts";

const BOUNDARIES = [0.001, 0.5, 1];

class Reader extends MetricReader {
  protected override async onForceFlush(): Promise<void> {}
  protected override async onShutdown(): Promise<void> {}
}

/** Both, told the same, as Prometheus would read them. */
function both() {
  const numbers = new OwnNumbers("test", () => 1_700_000_000_123);
  const reader = new Reader();
  const meter = new MeterProvider({ resource: emptyResource(), readers: [reader] }).getMeter("test");
  const own = {
    count: numbers.counter("some_things", "Things", "kind", "place"),
    times: numbers.times("some_seconds", "Times", BOUNDARIES, "kind", "place"),
  };
  const oracle = {
    count: meter.createCounter("some_things", { description: "Things" }),
    times: meter.createHistogram("some_seconds", {
      description: "Times",
      unit: "s",
      advice: { explicitBucketBoundaries: BOUNDARIES },
    }),
  };
  const texts = async () => {
    const serializer = new PrometheusSerializer();
    const collected = await Promise.all([numbers.collect(), reader.collect()]);
    return collected.map(({ resourceMetrics }) =>
      serializer.serialize({ ...resourceMetrics, resource: emptyResource() }),
    );
  };
  return { own, oracle, texts, numbers };
}

const words = fc.constantFrom("", "a", "b", 'with "quotes"');
const events = fc.record({
  isTime: fc.boolean(),
  value: fc.oneof(fc.constantFrom(0, 1, ...BOUNDARIES), fc.double({ min: 0, max: 3, noNaN: true })),
  kind: words,
  place: words,
});

describe("numbers that telemetry keeps itself", () => {
  test("are those that OpenTelemetry's instruments would have kept", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(events, { maxLength: 30 }), async (all) => {
        const { own, oracle, texts } = both();
        for (const { isTime, value, kind, place } of all) {
          if (isTime) {
            own.times.record(value, kind, place);
            oracle.times.record(value, { kind, place });
          } else {
            own.count.add(value, kind, place);
            oracle.count.add(value, { kind, place });
          }
        }
        const [found, expected] = (await texts()).map((text) => text.split("\n").sort());
        expect(found).toEqual(expected);
      }),
    );
  });

  test("of more combinations of labels than 2,000 are counted together", async () => {
    const { own, numbers } = both();
    for (let place = 0; place < 2_010; place++) own.count.add(1, "a", String(place));
    own.count.add(1, "a", "7");
    const { resourceMetrics } = await numbers.collect();
    const points = resourceMetrics.scopeMetrics[0]?.metrics[0]?.dataPoints ?? [];
    expect(points.length).toBe(2_001);
    expect(points[7]).toMatchObject({ attributes: { kind: "a", place: "7" }, value: 2 });
    expect(points.at(-1)).toMatchObject({ attributes: { "otel.metric.overflow": true }, value: 10 });
  });
});
