import type { RunningTelemetry } from "../../telemetry/start-telemetry.ts";
import type { Admission } from "./admission.ts";

/** What the admission does, as metrics; how long queries wait is measured by their step. */
export function observeAdmission(telemetry: RunningTelemetry | undefined, admission: Admission): void {
  const gauge = (name: string, description: string, read: () => number) => {
    telemetry?.observe(name, description, () => [{ value: read(), labels: {} }]);
  };
  gauge("skynetes_admission_limit", "Queries that may ask shards at once", () => admission.limit);
  gauge("skynetes_admission_in_flight", "Queries that ask shards now", () => admission.inFlight);
  gauge("skynetes_admission_waiting", "Queries that wait for a slot", () => admission.waiting);
  const refusals = () => Object.entries(admission.refusals).map(([reason, value]) => ({ value, labels: { reason } }));
  telemetry?.observeCount("skynetes_admission_refusals", "Queries refused, by reason", refusals);
}
