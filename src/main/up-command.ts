import { setFlagsFromString } from "node:v8";
import type { Command } from "commander";
import type { Endpoints } from "../up/endpoints-file.ts";
import { openExportedTelemetry } from "./exported-telemetry.ts";
import { runLong } from "./long-running.ts";
import {
  absolute,
  dataDirOption,
  grpcPortOption,
  hostOption,
  httpPortOption,
  manifestOption,
  parsePort,
} from "./options.ts";
import type { ProgramFacts } from "./program-facts.ts";
import { type ProgressLine, progressLine } from "./progress-line.ts";
import { welcomeText } from "./welcome-text.ts";

interface UpOptions {
  readonly manifest: string;
  readonly dataDir: string;
  readonly host: string;
  readonly httpPort: number;
  readonly grpcPort: number;
  readonly controlPort: number;
}

export const CONTROL_PORT = 50052;

export function addUpCommand(program: Command, facts: ProgramFacts): void {
  program
    .command("up")
    .summary("run a whole mesh on this machine")
    .description(
      "Runs the mesh that a manifest describes, as processes of this machine: loads its seeds, ingests, freezes its\n" +
        "snapshots and serves them, until Ctrl-C. A second start goes on with the data that is there.",
    )
    .addOption(manifestOption())
    .addOption(dataDirOption())
    .addOption(hostOption())
    .addOption(httpPortOption())
    .addOption(grpcPortOption())
    .option("--control-port <port>", "port for 'skynetes snapshot'; 0: any free one", parsePort, CONTROL_PORT)
    .addHelpText(
      "after",
      "\nExamples:\n" +
        "  $ skynetes up --manifest examples/flights/mesh.yaml\n" +
        "  $ skynetes up -m mesh.yaml --data-dir /var/lib/skynetes --http-port 0 --grpc-port 0 --control-port 0",
    )
    .action((options: UpOptions) => up(options, facts));
}

async function up(options: UpOptions, facts: ProgramFacts): Promise<void> {
  // The young generation stays as small as it is now: it would grow while the seeds are loaded and then be kept for
  // nothing. 300 MB before, 210 MB after three million records, for a quarter more time of one core.
  setFlagsFromString("--semi-space-growth-factor=1");
  const [{ startUp }, { loadManifest }, { systemClock }] = await Promise.all([
    import("../up/up.ts"),
    import("../manifest/load-manifest.ts"),
    import("../process/clock.ts"),
  ]);
  const manifest = await loadManifest(options.manifest);
  const say = (text: string) => void process.stderr.write(text);
  const bars = new Map<string, ProgressLine>();
  await runLong(facts, async (running, log) => {
    await openExportedTelemetry(running, "skynetes-up", manifest.mesh.name);
    const bar = (name: string) => {
      const known =
        bars.get(name) ??
        progressLine({ name: `load ${name}`, clock: systemClock, isTerminal: process.stderr.isTTY, write: say });
      bars.set(name, known);
      return known;
    };
    let served: (endpoints: Endpoints) => void = () => {};
    const serving = new Promise<Endpoints>((resolve) => {
      served = resolve;
    });
    const mesh = await startUp({
      manifest,
      dataDirectory: absolute(options.dataDir),
      host: options.host,
      httpPort: options.httpPort,
      grpcPort: options.grpcPort,
      controlPort: options.controlPort,
      script: facts.script,
      clock: systemClock,
      environment: process.env,
      log,
      onSeedProgress: (topic, progress) => (progress === "complete" ? bar(topic).done() : bar(topic).show(progress)),
      onServing(endpoints, { waiting, failed }) {
        say(welcomeText({ manifest, endpoints, waiting, failed, dataDir: options.dataDir }));
        served(endpoints);
      },
      onFailure: (error) => running.fail(error),
    });
    running.opened("mesh", () => mesh.close());
    const endpoints = await untilAborted(serving, running.signal);
    // The ready line is for programs; a terminal has been told in words.
    return process.stdout.isTTY ? undefined : { ...endpoints };
  });
}

function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    promise.then(resolve, reject);
  });
}
