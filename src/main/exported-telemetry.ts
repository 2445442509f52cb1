import type { RunningProcess } from "../process/run-until-signal.ts";
import type { RunningTelemetry } from "../telemetry/start-telemetry.ts";

/**
 * For processes that serve no /metrics of their own: telemetry starts only where somebody collects it, and OpenTelemetry
 * is not even loaded otherwise.
 */
export async function openExportedTelemetry(
  running: RunningProcess,
  serviceName: string,
  instance: string,
): Promise<RunningTelemetry | undefined> {
  if ((process.env.OTEL_EXPORTER_OTLP_ENDPOINT ?? "") === "") return undefined;
  const { startTelemetry } = await import("../telemetry/start-telemetry.ts");
  const telemetry = startTelemetry({ serviceName, instance, environment: process.env });
  running.opened("telemetry", () => telemetry.close());
  return telemetry;
}
