import { ArchiveProcess } from "../archive/archive-process.ts";
import { Fault } from "../fault/fault.ts";
import { sleep } from "../process/clock.ts";
import { watchLoopDelay } from "../process/loop-delay.ts";
import { readSeal } from "../seal/seal-file.ts";
import { observeAdmission } from "./admission/observe-admission.ts";
import { listenAdmin, type RunningAdmin } from "./door/admin-service.ts";
import { GrpcDoor } from "./door/grpc-door.ts";
import { addQueryRoutes } from "./door/http-door.ts";
import { httpServer, takeConnections } from "./door/http-server.ts";
import { addListingRoutes } from "./door/listing-routes.ts";
import { Gateway } from "./gateway.ts";
import { DEFAULT_LIMITS, type GatewayConfig, type RunningGateway } from "./gateway-config.ts";
import { gatewayPart } from "./gateway-part.ts";
import { observeMemory } from "./observe-memory.ts";
import { observeStreams } from "./observe-streams.ts";
import { problemOf } from "./reply/problem.ts";
import { ConverseTransport } from "./scatter/converse/converse-transport.ts";
import { GrpcShardTransport } from "./scatter/grpc-shard-transport.ts";
import { TableKeeper } from "./table/table-keeper.ts";

/** How often the closing gateway looks whether the last query has ended. */
const DRAIN_LOOK_MS = 20;
/** Last replies may take so long to be written when the gateway closes. */
const FLUSH_MS = 250;

/**
 * A gateway that listens, in one process. It answers `not-ready` until a table is applied over its admin port.
 *
 * Throws when a port is taken; then nothing is left listening.
 */
export async function startGateway(config: GatewayConfig): Promise<RunningGateway> {
  const { clock, randomness, listen, telemetry } = config;
  const limits = { ...DEFAULT_LIMITS, ...config.limits };
  const unary = new GrpcShardTransport(clock, limits.partialBytesMax);
  const streams =
    config.transport === "unary"
      ? undefined
      : new ConverseTransport({ clock, randomness, unary, partialBytesMax: limits.partialBytesMax });
  const transport = streams ?? unary;
  const archive = new ArchiveProcess({ root: config.archiveDirectory, clock });
  let closing = false;

  const tables = new TableKeeper({
    transport,
    readSeal: async (snapshot, sha256) => {
      const found = await readSeal(archive.files, snapshot, sha256);
      if (found !== undefined) return found.seal;
      throw new Fault("data-corrupt", `read seal of "${snapshot}": the archive has none`);
    },
    onSwap: (state) => grpc.show(state),
  });
  const currentState = () => {
    if (closing) throw new Fault("not-ready", "the gateway is closing", { retryAfterMs: 500 });
    return tables.current();
  };
  const joins = config.joins ?? true;
  const loopDelay = watchLoopDelay();
  const gateway = new Gateway({
    transport,
    clock,
    randomness,
    limits,
    takeLoopDelay: () => loopDelay.take(),
    joins,
    currentState,
    log: config.log,
  });
  const part = gatewayPart({
    tables,
    register: gateway.register,
    isClosing: () => closing,
    telemetry,
    differences: () => gateway.asker.audit.differences,
  });
  const whole = config.partOf?.whole ?? part;
  const grpc = new GrpcDoor(gateway, clock, whole);
  const http = httpServer(limits, problemOf);
  http.server.maxConnections = limits.connectionsMax;
  const { postAnswerSet, turnAway } = addQueryRoutes(http, gateway, clock);
  addListingRoutes(http, { gateway, postAnswerSet, turnAway, whole });
  let admin: RunningAdmin | undefined;

  telemetry?.observe("skynetes_table_epoch", "Epoch of the route table in use", () => [
    { value: Number(tables.loaded?.epoch ?? 0n), labels: {} },
  ]);
  telemetry?.observe("skynetes_queries_in_flight", "Queries under way", () => [
    { value: gateway.register.size, labels: {} },
  ]);
  if (telemetry !== undefined && streams !== undefined) observeStreams(telemetry, streams.counts);
  observeAdmission(telemetry, gateway.admission);
  telemetry?.observe(
    "skynetes_latest_snapshot_age_seconds",
    "Age of the snapshot that latest means, by service",
    () => {
      const state = tables.loaded;
      return [...(state?.latest ?? [])].map(([service, id]) => ({
        value: Math.max(0, (clock.now() - (state?.snapshots.get(id)?.createdAtMs ?? 0)) / 1000),
        labels: { service },
      }));
    },
  );

  if (telemetry !== undefined) observeMemory(telemetry, gateway);

  const stop = async () => {
    // What was answered last is still on its way out; a client that does not read it is not waited for.
    const gently = Promise.all([http.close(), grpc.close(), admin?.close()]);
    await Promise.race([gently, sleep(clock, FLUSH_MS)]);
    http.server.closeAllConnections();
    grpc.server.forceShutdown();
    admin?.force();
    await gently;
    transport.close();
    archive.close();
    loopDelay.close();
    await gateway.threads.close();
  };
  try {
    const first = await config.partOf?.join(part);
    if (first !== undefined) await tables.applyUnlessNewer(first);
    let httpAddress = "";
    let grpcAddress = "";
    if (config.partOf === undefined) {
      httpAddress = new URL(await http.listen({ host: listen.host, port: listen.httpPort })).host;
      grpcAddress = `${listen.host}:${await grpc.listen(listen.host, listen.grpcPort)}`;
    } else {
      config.partOf.take({ http: await takeConnections(http), grpc: grpc.takeConnections() });
    }
    if (listen.adminPort !== undefined) {
      const parts = { gateway: config.name, instance: randomness.id(), admin: part };
      admin = await listenAdmin(listen.host, listen.adminPort, parts);
    }
    return {
      httpAddress,
      grpcAddress,
      adminAddress: admin?.address ?? "",
      part,
      close: async () => {
        if (closing) return;
        closing = true;
        grpc.drain();
        const until = clock.monotonic() + limits.drainMs;
        while (gateway.register.size > 0 && clock.monotonic() < until) await sleep(clock, DRAIN_LOOK_MS);
        gateway.register.stopAll(new Fault("not-ready", "the gateway is closing"));
        await stop();
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
