import type { Command } from "commander";
import { Fault } from "../fault/fault.ts";
import { openExportedTelemetry } from "./exported-telemetry.ts";
import { runLong } from "./long-running.ts";
import { absolute, dataDirOption, listenOption, manifestOption } from "./options.ts";
import type { ProgramFacts } from "./program-facts.ts";

interface NodeOptions {
  readonly manifest: string;
  readonly node: string;
  readonly dataDir: string;
  readonly listen: { readonly host: string; readonly port: number };
}

export function addNodeCommand(program: Command, facts: ProgramFacts): void {
  program
    .command("node")
    .summary("run a node agent")
    .description(
      "Runs a node agent: reads the log into the shards that the manifest places on it, and freezes snapshots.",
    )
    .addOption(manifestOption())
    .requiredOption("--node <name>", "which of the manifest's nodes this is")
    .addOption(dataDirOption())
    .addOption(listenOption())
    .addHelpText(
      "after",
      "\nExample:\n  $ skynetes node --manifest examples/flights/mesh.yaml --node node-a --data-dir .skynetes",
    )
    .action((options: NodeOptions) => node(options, facts));
}

async function node(options: NodeOptions, facts: ProgramFacts): Promise<void> {
  const [{ startNode }, { openMeshLog }, { loadManifestWithoutSeeds }, { systemClock, systemRandomness }] =
    await Promise.all([
      import("../node/start-node.ts"),
      import("../log/open-log.ts"),
      import("../manifest/load-manifest.ts"),
      import("../process/clock.ts"),
    ]);
  const [{ dataDirectory }, { shardsOf }, { loginAccess, serverAccess }] = await Promise.all([
    import("../up/control/data-directory.ts"),
    import("../up/child/child-specs.ts"),
    import("./store-access.ts"),
  ]);
  const manifest = await loadManifestWithoutSeeds(options.manifest);
  const { mesh } = manifest;
  const shards = shardsOf(manifest, options.node);
  if (shards.length === 0) {
    const names = mesh.nodes.map(({ name }) => name).join(", ");
    throw new Fault(
      "invalid-manifest",
      `start node "${options.node}": the manifest places no shard on it; it has the nodes ${names}`,
    );
  }
  const directory = dataDirectory(absolute(options.dataDir));
  const { store } = mesh;
  const database =
    store === undefined
      ? undefined
      : {
          name: store.database,
          server: await serverAccess(store, manifest.directory),
          bootstrap: await loginAccess(store, "bootstrap", manifest.directory),
          ingest: await loginAccess(store, "ingest", manifest.directory),
        };
  await runLong(facts, async (running) => {
    const telemetry = await openExportedTelemetry(running, "skynetes-node", options.node);
    const { log } = await openMeshLog(mesh.log, {
      embeddedDirectory: directory.log,
      manifestDirectory: manifest.directory,
      environment: process.env,
      clock: systemClock,
    });
    running.opened("log", () => log.close());
    const started = await startNode({
      mesh: mesh.name,
      node: options.node,
      shards,
      tables: mesh.tables,
      topics: mesh.topics,
      log,
      dataDirectory: directory.node(options.node),
      archiveDirectory: directory.archive,
      listen: options.listen,
      ...(database === undefined ? {} : { database }),
      clock: systemClock,
      randomness: systemRandomness,
      ...(telemetry === undefined ? {} : { telemetry }),
    });
    running.opened("node", () => started.close());
    return { address: started.address };
  });
}
