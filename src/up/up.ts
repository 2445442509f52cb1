/**
 * A mesh on one machine: the same parts as anywhere, as local processes. The spine of this way:
 *
 *   lock ──▶ control files ──▶ topics ──▶ children ──▶ control service ──▶ seeds ──▶ driver loop
 *
 * Children start before the seeds are loaded, so that nodes ingest what is produced while it is produced; the driver
 * starts after, since a cut of "now" must hold all of the seeds.
 */
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { ArchiveProcess } from "../archive/archive-process.ts";
import { Fault } from "../fault/fault.ts";
import { faultFromUnknown } from "../fault/fault-from-unknown.ts";
import { placedManifest } from "../lifecycle/placement.ts";
import { renderPlan } from "../lifecycle/render-plan.ts";
import { openMeshLog } from "../log/open-log.ts";
import { checkedManifestText } from "../manifest/checked-manifest.ts";
import type { Manifest } from "../manifest/manifest.ts";
import type { Clock } from "../process/clock.ts";
import { makeDurableDirectorySync, writeDurableFileSync } from "../process/durable-file.ts";
import type { LineLog } from "../process/log-line.ts";
import { lockForProcess } from "../process/process-lock.ts";
import type { ProduceProgress } from "../produce/produce-file.ts";
import { ControlService } from "../wire/generated/skynetes/v1/control_pb.ts";
import { addUnaryService } from "../wire/grpc-service.ts";
import { Announcer, type UnservedSnapshots } from "./announcer.ts";
import { ChildAddressFile } from "./child/child-addresses.ts";
import { ControlClients } from "./child/control-clients.ts";
import { checkPortFree } from "./child/free-ports.ts";
import { MeshChildren } from "./child/mesh-children.ts";
import { neededServices } from "./child/needed-services.ts";
import { type ControlView, controlHandlers } from "./control/control-handlers.ts";
import { ControlStore } from "./control/control-store.ts";
import { dataDirectory } from "./control/data-directory.ts";
import { danglingBindings, takeManifest } from "./control/wishes.ts";
import { keepArchive } from "./data/archive-keeper.ts";
import { ArchiveSeals } from "./data/archive-seals.ts";
import { type RejectSource, rejectsOfNodes } from "./data/rejects-of-nodes.ts";
import { createTopics, seedTopics, unseededTopics } from "./data/seed-topics.ts";
import { nodesHolding, ObservationMemory } from "./drive/observe-mesh.ts";
import type { Endpoints } from "./endpoints-file.ts";
import { MeshDriver } from "./mesh-driver.ts";

export interface UpConfig {
  readonly manifest: Manifest;
  /** Absolute. */
  readonly dataDirectory: string;
  readonly host: string;
  /** Port 0 lets the machine choose. */
  readonly httpPort: number;
  readonly grpcPort: number;
  readonly controlPort: number;
  /** The program's script, for the children's command lines. */
  readonly script: string;
  readonly clock: Clock;
  /** Where the manifest's log may look up what is not in the manifest. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly log: LineLog;
  readonly onSeedProgress: (topic: string, progress: ProduceProgress | "complete") => void;
  /** Once, when every snapshot of the manifest serves, or nobody can say when it will. */
  readonly onServing: (endpoints: Endpoints, unserved: UnservedSnapshots) => void;
  /** The mesh cannot go on. */
  readonly onFailure: (error: unknown) => void;
}

export interface RunningUp {
  /** Stops everything in order; no process is left. */
  close(): Promise<void>;
}

/** A kit process compiles its modules and DuckDB's library at its first start on a cold disk. */
const READY_TIMEOUT_MS = 60_000;
/** Above the drain of gateway and services. */
const STOP_GRACE_MS = 15_000;

/** Faults: `store-locked`, `port-in-use`, `invalid-manifest`, `data-corrupt`, and those of the log. */
export async function startUp(config: UpConfig): Promise<RunningUp> {
  const { manifest, clock, log: report } = config;
  const directory = dataDirectory(config.dataDirectory);
  makeDurableDirectorySync(directory.root);
  const opened: (() => Promise<void> | void)[] = [];
  const closeAll = async () => {
    for (const close of opened.splice(0).toReversed()) await close();
  };
  try {
    const lock = lockForProcess(directory.lockFile, `data directory ${config.dataDirectory}`);
    opened.push(() => lock.release());
    await checkPortFree(config.host, config.httpPort, "HTTP", "--http-port");
    await checkPortFree(config.host, config.grpcPort, "gRPC", "--grpc-port");
    await checkPortFree("127.0.0.1", config.controlPort, "control", "--control-port");

    const store = ControlStore.open(directory, manifest.mesh, clock.now());
    const accepted = takeManifest(store.state, manifest, clock.now());
    const dangling = danglingBindings(accepted, manifest);
    if (dangling.length > 0) {
      throw new Fault(
        "invalid-manifest",
        `open ${config.dataDirectory}: snapshots are bound to versions that the manifest lacks: ${dangling.join(", ")}; ` +
          "bring them back, or retire the snapshots while the versions are there",
      );
    }

    const meshLog = await openMeshLog(manifest.mesh.log, {
      embeddedDirectory: directory.log,
      manifestDirectory: manifest.directory,
      environment: config.environment,
      clock,
    });
    const { log } = meshLog;
    opened.push(() => log.close());
    const onProgress = config.onSeedProgress;
    const seeding = { manifest, store, meshLog, clock, report, onProgress };
    await createTopics(seeding);
    // Only now: a start that is refused has changed no wish.
    store.update(() => accepted);

    let driver: MeshDriver | undefined;
    let announcer: Announcer | undefined;
    // Children start again and again, and each time by the manifest that was accepted, whatever its file says by then.
    const { manifestFile } = directory;
    let written = "";
    const writeManifest = (placed: Manifest) => {
      const text = checkedManifestText(placed);
      if (text !== written) writeDurableFileSync(manifestFile, text);
      written = text;
    };
    const placed = placedManifest(manifest, store.state.placements);
    writeManifest(placed);
    const plan = { ...config, manifestFile };
    const children: MeshChildren = new MeshChildren(plan, new ChildAddressFile(directory.childrenFile), {
      clock,
      log: report,
      executable: process.execPath,
      readyTimeoutMs: READY_TIMEOUT_MS,
      stopGraceMs: STOP_GRACE_MS,
      onChange: () => {
        announcer?.addresses();
        driver?.wake();
        const refusal = refusalOfNodes(manifest, children);
        if (refusal !== undefined) config.onFailure(refusal);
      },
    });
    opened.push(() => children.stop());
    children.keepNodes(nodesHolding(store.state));
    children.startGateway();
    children.keepServices(neededServices(placed, store.state, store.published.table, undefined));

    const clients = new ControlClients();
    opened.push(() => clients.close());
    const archive = new ArchiveProcess({ root: directory.archive, clock });
    opened.push(() => archive.close());
    const seals = new ArchiveSeals(archive.files, manifest.mesh, report);
    const parts = { manifest, clock, store, children, clients, memory: new ObservationMemory(), log, seals };

    const view: ControlView = {
      seeded: () => unseededTopics(manifest, store).length === 0,
      phase: (id) => phaseOf(driver, id),
      planText: () => planText(driver),
      committed: () => parts.memory.committed,
    };
    const control = new Server();
    const wake = () => driver?.wake();
    const addressOf = (node: string) => nodeAddress(children, node);
    // Shards move, so it is asked each time where they are.
    const rejects: RejectSource = (request, signal) =>
      rejectsOfNodes({ manifest: placedManifest(manifest, store.state.placements), clients, addressOf })(
        request,
        signal,
      );
    addUnaryService(control, ControlService, controlHandlers({ manifest, store, log, clock, view, wake, rejects }));
    const controlAddress = await listen(control, config.controlPort);
    opened.push(() => stopServer(control, clock));

    const { deaths } = parts.memory;
    const announce = new Announcer({ config, store, children, deaths, controlAddress, file: directory.endpointsFile });
    announcer = announce;
    opened.push(() => announce.close());
    driver = new MeshDriver({
      parts,
      report,
      onPlaced: writeManifest,
      onPlan: (plan, observed, failures) => announce.served(plan, observed, failures),
    });
    const running = driver;
    opened.push(() => running.stop());

    const stopKeeping = new AbortController();
    const kept = keepArchive({ files: archive.files, store, clock, report }, stopKeeping.signal);
    opened.push(async () => {
      stopKeeping.abort();
      await kept;
    });

    const stopSeeding = new AbortController();
    const seeded = seedTopics(seeding, stopSeeding.signal).then(
      () => running.start(),
      (error) => {
        if (!stopSeeding.signal.aborted) config.onFailure(faultFromUnknown(error, "load the seeds"));
      },
    );
    opened.push(async () => {
      stopSeeding.abort(new DOMException("the mesh stops", "AbortError"));
      await seeded;
    });
    return { close: closeAll };
  } catch (error) {
    await closeAll();
    throw error;
  }
}

/** A node that cannot open its shards by this manifest never will. */
function refusalOfNodes(manifest: Manifest, children: MeshChildren): Fault | undefined {
  for (const { name } of manifest.mesh.nodes) {
    const state = children.state(name);
    if (state?.kind !== "down" || !state.isMisconfigured) continue;
    return new Fault("invalid-manifest", `start ${name}: it refuses the manifest: ${state.reason}`);
  }
  return undefined;
}

function nodeAddress(children: MeshChildren, node: string): string | undefined {
  const state = children.state(node);
  return state?.kind === "ready" ? state.addresses.address : undefined;
}

function phaseOf(driver: MeshDriver | undefined, id: string) {
  const planned = driver?.plan?.phases.find(({ snapshot }) => snapshot === id);
  if (planned === undefined) return undefined;
  const failure = driver?.failures().find(({ snapshot }) => snapshot === id);
  return { phase: planned.phase, message: failure?.fault.message ?? planned.message };
}

function planText(driver: MeshDriver | undefined): string {
  const plan = driver?.plan;
  if (driver === undefined || plan === undefined) return "no plan yet: the topics' seeds are being produced\n";
  const failures = driver.failures().map(({ text, fault }) => `failed: ${text}: ${fault.message}\n`);
  return `${renderPlan(plan)}${failures.join("")}`;
}

function listen(server: Server, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, bound) => {
      if (error !== null) reject(new Fault("port-in-use", `listen for control on 127.0.0.1:${port}: ${error.message}`));
      else resolve(`127.0.0.1:${bound}`);
    });
  });
}

/** For wishes under way: each is answered within the time of one file write. */
const CONTROL_DRAIN_MS = 2_000;

function stopServer(server: Server, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    const cancel = clock.after(CONTROL_DRAIN_MS, () => server.forceShutdown());
    server.tryShutdown(() => {
      cancel();
      resolve();
    });
  });
}
