import type { HrTime } from "@opentelemetry/api";
import { ValueType } from "@opentelemetry/api";
import { emptyResource } from "@opentelemetry/resources";
import {
  AggregationTemporality,
  type CollectionResult,
  type DataPoint,
  DataPointType,
  type Histogram,
  type MetricData,
  type MetricProducer,
} from "@opentelemetry/sdk-metrics";
import { ByLabels } from "./by-labels.ts";

interface Times {
  count: number;
  sum: number;
  min: number;
  max: number;
  /** One more than there are boundaries. */
  readonly counts: number[];
}

export interface OwnCounter {
  /** `values` of the labels, in the order in which the counter names them. */
  add(count: number, ...values: readonly string[]): void;
}

export interface OwnTimes {
  record(seconds: number, ...values: readonly string[]): void;
}

/**
 * Counters and histograms whose numbers are kept here and read when somebody collects. An instrument of OpenTelemetry
 * sorts, joins and hashes the labels of each value that it is given, which is microseconds for every shard call; here
 * a value goes to its number by one map for each label. They are cumulative whatever an exporter prefers.
 */
export class OwnNumbers implements MetricProducer {
  readonly #scope: string;
  readonly #now: () => number;
  readonly #startTime: HrTime;
  readonly #metrics: ((endTime: HrTime) => MetricData)[] = [];

  /** `now`: milliseconds since the Unix epoch. */
  constructor(scope: string, now: () => number) {
    this.#scope = scope;
    this.#now = now;
    this.#startTime = hrTimeOf(now());
  }

  counter(name: string, description: string, ...labels: readonly string[]): OwnCounter {
    const counts = new ByLabels(labels, () => ({ count: 0 }));
    this.#metrics.push((endTime) => ({
      ...describe(name, description, ""),
      dataPointType: DataPointType.SUM,
      isMonotonic: true,
      dataPoints: this.#points(counts, endTime, ({ count }) => count),
    }));
    return {
      add(count, ...values) {
        counts.at(values).count += count;
      },
    };
  }

  /** In seconds. A bucket has what is greater than the boundary before it and not greater than its own. */
  times(name: string, description: string, boundaries: number[], ...labels: readonly string[]): OwnTimes {
    const times = new ByLabels<Times>(labels, () => {
      const counts = new Array(boundaries.length + 1).fill(0);
      return { count: 0, sum: 0, min: Number.POSITIVE_INFINITY, max: Number.NEGATIVE_INFINITY, counts };
    });
    const histogram = ({ count, sum, min, max, counts }: Times): Histogram => {
      return { count, sum, min, max, buckets: { boundaries, counts: [...counts] } };
    };
    this.#metrics.push((endTime) => ({
      ...describe(name, description, "s"),
      dataPointType: DataPointType.HISTOGRAM,
      dataPoints: this.#points(times, endTime, histogram),
    }));
    return {
      record(seconds, ...values) {
        const one = times.at(values);
        let bucket = 0;
        while (bucket < boundaries.length && seconds > boundaries[bucket]!) bucket++;
        one.counts[bucket]!++;
        one.count++;
        one.sum += seconds;
        if (seconds < one.min) one.min = seconds;
        if (seconds > one.max) one.max = seconds;
      },
    };
  }

  async collect(): Promise<CollectionResult> {
    const endTime = hrTimeOf(this.#now());
    const metrics = this.#metrics.map((read) => read(endTime)).filter(({ dataPoints }) => dataPoints.length > 0);
    const scopeMetrics = [{ scope: { name: this.#scope }, metrics }];
    // Whoever collects has the process's resource.
    return { resourceMetrics: { resource: emptyResource(), scopeMetrics }, errors: [] };
  }

  #points<T, P>(numbers: ByLabels<T>, endTime: HrTime, read: (number: T) => P): DataPoint<P>[] {
    const startTime = this.#startTime;
    return numbers.entries.map(([attributes, number]) => ({ startTime, endTime, attributes, value: read(number) }));
  }
}

function describe(name: string, description: string, unit: string) {
  const descriptor = { name, description, unit, valueType: ValueType.DOUBLE };
  return { descriptor, aggregationTemporality: AggregationTemporality.CUMULATIVE };
}

function hrTimeOf(ms: number): HrTime {
  const seconds = Math.floor(ms / 1000);
  return [seconds, Math.round((ms - seconds * 1000) * 1e6)];
}
