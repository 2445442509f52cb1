/**
 * A gateway of several processes: this one, the primary, has the ports; workers answer.
 *
 *   connection ─▶ primary: to the worker with the fewest ─▶ worker: all requests on it, to its end
 *   table      ─▶ primary ─▶ every worker loads it ─▶ every worker swaps ─▶ acknowledged
 *
 * A worker that dies is started again, with the table before it gets a connection; the others go on meanwhile.
 */
import type { Socket } from "node:net";
import { Fault } from "../../fault/fault.ts";
import { sleep } from "../../process/clock.ts";
import type { LineLog } from "../../process/log-line.ts";
import type { RunningTelemetry } from "../../telemetry/start-telemetry.ts";
import { listenAdmin } from "../door/admin-service.ts";
import { DEFAULT_LIMITS, type GatewayConfig, type RunningGateway } from "../gateway-config.ts";
import { AllWorkers } from "./all-workers.ts";
import { type Door, type SharedPort, sharePort } from "./shared-port.ts";
import { type WorkerCommand, WorkerProcess } from "./worker-process.ts";

export interface WorkersConfig extends GatewayConfig {
  readonly count: number;
  /** The program that calls `startWorker`. */
  readonly command: WorkerCommand;
  readonly log: LineLog;
  readonly telemetry: RunningTelemetry;
}

/** A worker may take so much longer than it drains. */
const STOP_GRACE_MS = 3_000;
const BACKOFF_MIN_MS = 50;
const BACKOFF_MAX_MS = 5_000;
/** A worker that lasted so long did not fail to start. */
const LASTED_MS = 10_000;

/** Resolves when all workers are there. Rejects with the reason when a port is taken or one cannot be started. */
export async function startWorkers(config: WorkersConfig): Promise<Omit<RunningGateway, "part">> {
  const { clock, log, listen, count, telemetry } = config;
  const { drainMs, connectionsMax } = { ...DEFAULT_LIMITS, ...config.limits };
  const workers = new Map<number, WorkerProcess>();
  const listening = () => [...workers.values()].filter((worker) => worker.isListening);
  const stopping = new AbortController();
  const allThere = Promise.withResolvers<void>();
  let isUp = false;
  let deaths = 0;
  const all = new AllWorkers({
    count,
    running: () => [...workers.values()],
    metrics: () => telemetry.prometheusText(),
  });

  const oneRun = (number: number): Promise<string> => {
    const name = `worker ${number}`;
    const worker: WorkerProcess = new WorkerProcess(name, config.command, clock, {
      // From here on it gets the tables that are applied.
      table: () => {
        workers.set(number, worker);
        return all.table;
      },
      listening: () => {
        worker.isListening = true;
        log.line("info", `${name} takes connections`, { pid: worker.pid });
        if (listening().length < count) return;
        isUp = true;
        allThere.resolve();
      },
      queries: () => all.queriesBytes(),
      cancel: (id: string) => all.cancel(id),
      ready: () => all.ready(),
      metrics: () => all.metrics(),
    });
    started.add(worker);
    void worker.ended.then(() => {
      started.delete(worker);
      if (workers.get(number) === worker) workers.delete(number);
    });
    return worker.ended;
  };
  const started = new Set<WorkerProcess>();
  const keepRunning = async (number: number) => {
    for (let backoffMs = BACKOFF_MIN_MS; !stopping.signal.aborted; ) {
      const startedAt = clock.monotonic();
      const end = await oneRun(number);
      if (stopping.signal.aborted) return;
      deaths++;
      if (!isUp) allThere.reject(new Fault("not-ready", `start worker ${number}: ${end}`));
      const hasLasted = clock.monotonic() - startedAt >= LASTED_MS;
      backoffMs = hasLasted ? BACKOFF_MIN_MS : Math.min(2 * backoffMs, BACKOFF_MAX_MS);
      log.line("warn", `worker ${number} ended: ${end}; starting it again in ${backoffMs} ms`);
      await sleep(clock, backoffMs, stopping.signal).catch(() => {});
    }
  };

  /** To the worker with the fewest: long-lived connections, as gRPC's are, stay where they came. */
  const hand = (door: Door) => (socket: Socket) => {
    const candidates = listening();
    const [fewest] = candidates.sort((a, b) => a.connections(door) - b.connections(door));
    const taken = candidates.reduce((sum, worker) => sum + worker.connections(door), 0);
    if (fewest === undefined || (door === "http" && taken >= connectionsMax)) socket.destroy();
    else fewest.hand(door, socket);
  };

  telemetry.observe("skynetes_gateway_workers", "Workers that take connections", () => [
    { value: listening().length, labels: {} },
  ]);
  const deathsNow = () => [{ value: deaths, labels: {} }];
  telemetry.observeCount("skynetes_gateway_worker_deaths", "Workers that ended untold", deathsNow);

  const ports: SharedPort[] = [];
  let kept: readonly Promise<void>[] = [];
  const stop = async () => {
    for (const port of ports) port.close();
    stopping.abort();
    for (const worker of started) worker.kill("SIGTERM");
    const tooLate = clock.after(drainMs + STOP_GRACE_MS, () => {
      for (const worker of started) {
        log.line("warn", `${worker.name} did not stop within ${drainMs + STOP_GRACE_MS} ms, killed`);
        worker.kill("SIGKILL");
      }
    });
    await Promise.all(kept);
    tooLate();
  };
  try {
    kept = Array.from({ length: count }, (_, i) => keepRunning(i + 1));
    await allThere.promise;
    const http = await sharePort(listen.host, listen.httpPort, hand("http"));
    ports.push(http);
    const grpc = await sharePort(listen.host, listen.grpcPort, hand("grpc"));
    ports.push(grpc);
    const about = { gateway: config.name, instance: config.randomness.id(), admin: all };
    const admin = await listenAdmin(listen.host, listen.adminPort ?? 0, about);
    return {
      httpAddress: http.address,
      grpcAddress: grpc.address,
      adminAddress: admin.address,
      close: async () => {
        await stop();
        await admin.close();
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
