import { expect, test } from "vitest";
import { DEFAULT_LIMITS } from "../../../src/gateway/gateway-config.ts";
import { mergeMetrics } from "../../../src/gateway/workers/merge-metrics.ts";
import { workerLimits } from "../../../src/gateway/workers/worker-limits.ts";

test("series of the same name and labels are added up; what is no amount is told once", () => {
  const worker = (n: number) => `# HELP q_total Queries
# TYPE q_total counter
q_total{outcome="complete",text="a b {c} d"} ${n}
${n === 2 ? 'q_total{outcome="cancelled"} 5\n' : ""}# HELP t_seconds Times
# TYPE t_seconds histogram
t_seconds_count{} ${n}
t_seconds_sum{} 0.${n}
t_seconds_bucket{le="0.5"} ${n}
t_seconds_bucket{le="+Inf"} ${n}
# TYPE skynetes_table_epoch gauge
skynetes_table_epoch ${n}
# TYPE snapshot_age_seconds gauge
snapshot_age_seconds ${n}
# TYPE target_info gauge
target_info{service="x"} 1
`;
  expect(mergeMetrics([worker(2), worker(3)])).toBe(`# HELP q_total Queries
# TYPE q_total counter
q_total{outcome="complete",text="a b {c} d"} 5
q_total{outcome="cancelled"} 5
# HELP t_seconds Times
# TYPE t_seconds histogram
t_seconds_count{} 5
t_seconds_sum{} 0.5
t_seconds_bucket{le="0.5"} 5
t_seconds_bucket{le="+Inf"} 5
# TYPE skynetes_table_epoch gauge
skynetes_table_epoch 2
# TYPE snapshot_age_seconds gauge
snapshot_age_seconds 3
# TYPE target_info gauge
target_info{service="x"} 1
`);
});

test("workers share what is the gateway's, and none gets more than its part", () => {
  const one = workerLimits({ ...DEFAULT_LIMITS, queriesMax: 255, memoryBytesMax: 1000 }, 4);
  expect(one).toMatchObject({ queriesMax: 64, memoryBytesMax: 250, deadlineMaxMs: DEFAULT_LIMITS.deadlineMaxMs });
  expect(workerLimits(DEFAULT_LIMITS, 1)).toEqual(DEFAULT_LIMITS);
});
