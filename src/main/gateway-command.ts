import { type Command, InvalidArgumentError, Option } from "commander";
import type { GatewayConfig } from "../gateway/gateway-config.ts";
import { WORKER_VARIABLE } from "../gateway/workers/worker-variable.ts";
import { runLong } from "./long-running.ts";
import {
  absolute,
  dataDirOption,
  grpcPortOption,
  hostOption,
  httpPortOption,
  parseCount,
  parsePort,
} from "./options.ts";
import type { ProgramFacts } from "./program-facts.ts";

interface GatewayOptions {
  readonly dataDir: string;
  readonly name: string;
  readonly host: string;
  readonly httpPort: number;
  readonly grpcPort: number;
  readonly adminPort: number;
  readonly manifest?: string;
  readonly table?: true;
  readonly transport: "stream" | "unary";
  readonly cacheBytes?: number;
  readonly join: boolean;
  readonly workers?: number;
}

export function addGatewayCommand(program: Command, facts: ProgramFacts): void {
  program
    .command("gateway")
    .summary("run a gateway")
    .description(
      "Runs a gateway: takes queries over HTTP and gRPC, asks the shards and merges their answers.\n" +
        "It answers once a route table is applied on its admin port ('skynetes up' does that), or with --table.",
    )
    .addOption(dataDirOption())
    .option("--name <name>", "its name among the mesh's gateways", "gateway")
    .addOption(hostOption())
    .addOption(httpPortOption())
    .addOption(grpcPortOption())
    .option("--admin-port <port>", "port for the mesh's driver; never open it to clients", parsePort, 0)
    .option("-m, --manifest <file>", "mesh manifest whose limits apply")
    .option("--table", "start with the route table that is published in the data directory, and keep it")
    .addOption(
      new Option("--transport <how>", "how shards are called: packed on streams where services speak it, or one by one")
        .choices(["stream", "unary"])
        .default("stream"),
    )
    .option("--cache-bytes <bytes>", "memory for answers and partials kept; 0 keeps none", parseCount)
    .option("--no-join", "scatter for every query, also while another one asks the same")
    .option("--workers <count>", "processes that share the ports; absent: the manifest's, else 1", parseWorkers)
    .addHelpText(
      "after",
      "\nExample:\n  $ skynetes gateway --data-dir .skynetes --http-port 8081 --grpc-port 0 --table",
    )
    .action((options: GatewayOptions) => gateway(options, facts));
}

async function gateway(options: GatewayOptions, facts: ProgramFacts): Promise<void> {
  const [{ startGateway }, { startTelemetry }, { systemClock, systemRandomness }, { dataDirectory }] =
    await Promise.all([
      import("../gateway/start-gateway.ts"),
      import("../telemetry/start-telemetry.ts"),
      import("../process/clock.ts"),
      import("../up/control/data-directory.ts"),
    ]);
  const directory = dataDirectory(absolute(options.dataDir));
  const { workers: wantedWorkers = 1, ...limits } =
    options.manifest === undefined
      ? {}
      : (await (await import("../manifest/load-manifest.ts")).loadManifestWithoutSeeds(options.manifest)).mesh.gateway;
  const count = options.workers ?? wantedWorkers;
  const worker = process.env[WORKER_VARIABLE];
  const role = count === 1 ? "alone" : worker === undefined ? "primary" : "worker";
  await runLong(facts, async (running, log) => {
    const telemetry = startTelemetry({
      serviceName: "skynetes-gateway",
      instance: worker === undefined ? options.name : `${options.name} ${worker}`,
      environment: process.env,
    });
    running.opened("telemetry", () => telemetry.close());
    const { name, host, httpPort, grpcPort, adminPort } = options;
    const config: GatewayConfig = {
      name,
      listen: { host, httpPort, grpcPort, adminPort },
      archiveDirectory: directory.archive,
      transport: options.transport,
      limits: options.cacheBytes === undefined ? limits : { ...limits, cacheBytesMax: options.cacheBytes },
      joins: options.join,
      clock: systemClock,
      randomness: systemRandomness,
      telemetry,
      log,
    };
    const start = {
      alone: () => startGateway(config),
      worker: async () => (await import("../gateway/workers/start-worker.ts")).startWorker(config, count),
      primary: async () => {
        const { startWorkers } = await import("../gateway/workers/start-workers.ts");
        const command = { script: facts.script, argv: process.argv.slice(2), environment: process.env };
        return startWorkers({ ...config, count, command, log, telemetry });
      },
    }[role];
    const started = await start();
    running.opened("gateway", () => started.close());
    // The primary tells of all.
    if (role === "worker") return undefined;
    if (options.table === true) await applyPublishedTable(started.adminAddress, directory.tableFile);
    return { http: started.httpAddress, grpc: started.grpcAddress, admin: started.adminAddress };
  });
}

function parseWorkers(text: string): number {
  const count = Number(text);
  if (!/^\d{1,2}$/.test(text) || count < 1 || count > WORKERS_MAX) {
    throw new InvalidArgumentError(`It is a number from 1 to ${WORKERS_MAX}.`);
  }
  return count;
}

const WORKERS_MAX = 64;
const APPLY_TIMEOUT_MS = 30_000;

async function applyPublishedTable(adminAddress: string, tableFile: string): Promise<void> {
  const [{ readPublishedTable }, { unaryClient }, { GatewayAdminService }] = await Promise.all([
    import("../up/control/control-store.ts"),
    import("../wire/grpc-service.ts"),
    import("../wire/generated/skynetes/v1/gateway_admin_pb.ts"),
  ]);
  const client = unaryClient(GatewayAdminService, adminAddress);
  try {
    await client.applyTable({ table: readPublishedTable(tableFile) }, { timeoutMs: APPLY_TIMEOUT_MS });
  } finally {
    client.close();
  }
}
