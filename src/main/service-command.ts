import { pathToFileURL } from "node:url";
import { type Command, InvalidArgumentError } from "commander";
import { Fault } from "../fault/fault.ts";
import { SERVICE_VERSION_RULE, type ServiceVersionName, serviceVersionName } from "../mesh/service-version.ts";
import type { LineLog } from "../process/log-line.ts";
import type { AccessEntry } from "../service/serve/call-record.ts";
import { openExportedTelemetry } from "./exported-telemetry.ts";
import { runLong } from "./long-running.ts";
import { absolute, listenOption, parseCount } from "./options.ts";
import type { ProgramFacts } from "./program-facts.ts";

interface ServiceOptions {
  readonly module: string;
  readonly version: ServiceVersionName;
  readonly node?: readonly string[];
  readonly listen: { readonly host: string; readonly port: number };
  readonly memoryLimitBytes: number;
  readonly scanDir?: string;
  readonly manifest?: string;
  readonly accessLog?: true;
}

/** Of the states of all snapshots that one process holds. */
const MEMORY_LIMIT_BYTES = 1024 * 1024 * 1024;

export function addServiceCommand(program: Command, facts: ProgramFacts): void {
  program
    .command("service")
    .summary("run one version of a service")
    .description(
      "Runs one version of a service for any number of shards and snapshots. A node agent binds them to it.\n" +
        "The module's default export is a ServiceDefinition, or a function (env) => ServiceDefinition.",
    )
    .requiredOption("--module <file>", "the service, written with the kit")
    .requiredOption("--version <name>", "the service version's name", parseVersion)
    .option("--node <name...>", "nodes whose shards it may serve; absent: any")
    .addOption(listenOption())
    .option("--memory-limit-bytes <n>", "for the states of all snapshots together", parseCount, MEMORY_LIMIT_BYTES)
    .option("--scan-dir <directory>", "keep what is read of snapshots here, to bind them sooner the next time")
    .option(
      "--manifest <file>",
      "the mesh manifest, to read snapshots from the store that it names; absent: from files",
    )
    .option("--access-log", "one line on stderr for every call, packed ones too")
    .addHelpText(
      "after",
      "\nExample:\n  $ skynetes service --module examples/flights/delay-service.ts --version delay-v1-0a1b2c3d",
    )
    .action((options: ServiceOptions) => service(options, facts));
}

async function service(options: ServiceOptions, facts: ProgramFacts): Promise<void> {
  const [{ serveService }, { definitionOfModule }, { systemClock, systemRandomness }] = await Promise.all([
    import("../service/serve/serve-service.ts"),
    import("../service/definition-of-module.ts"),
    import("../process/clock.ts"),
  ]);
  const file = absolute(options.module);
  const definition = definitionOfModule(await importModule(file), file, process.env);
  const views = options.manifest === undefined ? undefined : await viewAccess(options.manifest);
  await runLong(facts, async (running, log) => {
    await openExportedTelemetry(running, "skynetes-service", options.version);
    const started = await serveService(definition, {
      version: options.version,
      node: options.node,
      listen: options.listen,
      memoryLimitBytes: options.memoryLimitBytes,
      scanDirectory: options.scanDir === undefined ? undefined : absolute(options.scanDir),
      ...(views === undefined ? {} : { views }),
      clock: systemClock,
      randomness: systemRandomness,
      report: (fault) => log.line("error", fault.message),
      ...(options.accessLog === undefined ? {} : { accessLog: accessLogTo(log) }),
    });
    running.opened("service", () => started.close());
    return { address: started.address };
  });
}

/** The store of a manifest that has one, as the user who reads views. */
async function viewAccess(file: string) {
  const [{ loadManifestWithoutSeeds }, { loginAccess, serverAccess }] = await Promise.all([
    import("../manifest/load-manifest.ts"),
    import("./store-access.ts"),
  ]);
  const { mesh, directory } = await loadManifestWithoutSeeds(file);
  if (mesh.store === undefined) return undefined;
  return {
    server: await serverAccess(mesh.store, directory),
    login: await loginAccess(mesh.store, "service", directory),
  };
}

function accessLogTo(log: LineLog): (entry: AccessEntry) => void {
  const access = log.of("access");
  // The line has its own time.
  return ({ method, time: _time, ...facts }) => access.line("info", method, facts);
}

async function importModule(file: string): Promise<unknown> {
  try {
    return await import(pathToFileURL(file).href);
  } catch (error) {
    throw new Fault("invalid-service", `load service module "${file}": ${(error as Error).message}`, {}, error);
  }
}

function parseVersion(text: string): ServiceVersionName {
  const name = serviceVersionName(text);
  if (name === undefined) throw new InvalidArgumentError(`It is ${SERVICE_VERSION_RULE}.`);
  return name;
}
