/** A mesh of a few thousand flights as a user starts it: a manifest, `bin/skynetes up`, real processes. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { templateHash } from "../../src/manifest/value/template-hash.ts";

const ROOT = resolve(import.meta.dirname, "../..");
export const SKYNETES = join(ROOT, "bin/skynetes");
const DELAY_MODULE = join(ROOT, "examples/flights/delay-service.ts");

export interface Flight {
  readonly date: string;
  readonly delay: number;
  readonly distance: number;
  readonly origin: string;
  readonly destination: string;
}

/** Minute by minute from the first of January 2001. */
export function makeFlights(count: number): readonly Flight[] {
  const airports = ["ATL", "BGR", "DEN", "JFK", "LAX", "ORD", "SFO"];
  return Array.from({ length: count }, (_, i) => ({
    date: new Date(Date.UTC(2001, 0, 1) + i * 60_000 * 60).toISOString().slice(0, 19).replace("T", " "),
    delay: ((i * 7919) % 90) - 30,
    distance: 100 + ((i * 104729) % 3000),
    origin: airports[(i * 31) % airports.length] as string,
    destination: airports[(i * 17 + 3) % airports.length] as string,
  }));
}

export function csv(flights: readonly Flight[]): string {
  const rows = flights.map((f) => `${f.date},${f.delay},${f.distance},${f.origin},${f.destination}`);
  return `date,delay,distance,origin,destination\n${rows.join("\n")}\n`;
}

export const template = (minutes: string) => ({ module: DELAY_MODULE, env: { DELAYED_FROM_MINUTES: minutes } });
export const V1 = `delay-v1-${templateHash(template("1"))}`;
export const V2 = `delay-v2-${templateHash(template("15"))}`;

/** Where the shards are; absent: two nodes, each shard once. */
export interface Layout {
  readonly nodes?: readonly string[];
  readonly placements?: readonly (readonly string[])[];
}

export function writeSmallMesh(
  directory: string,
  flights: readonly Flight[],
  snapshots: readonly string[] = ["january", "all", "future"],
  layout: Layout = {},
): string {
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, "flights.csv"), csv(flights));
  writeFileSync(join(directory, "airports.csv"), "iata,name\nATL,Atlanta\nBGR,Bangor\nLAX,Los Angeles\n");
  const header = (kind: string, name: string) => ({
    apiVersion: "skynetes.io/v1alpha1",
    kind,
    metadata: { name },
  });
  const column = (name: string, type: string, nullable = false) => ({ name, type, ...(nullable ? { nullable } : {}) });
  const binding = (version: string) => [{ service: "flights.v1.DelayService", version }];
  const documents = [
    {
      ...header("Mesh", "small"),
      spec: {
        shards: 4,
        nodes: (layout.nodes ?? ["node-a", "node-b"]).map((name) => ({ name })),
        ...(layout.placements === undefined
          ? {}
          : { placements: layout.placements.map((nodes, shard) => ({ shard, nodes })) }),
        topics: [
          {
            name: "flights",
            format: "JSON",
            timestamps: "NonDecreasing",
            seed: { file: "flights.csv", key: ["origin"], timestamp: "date" },
          },
          {
            name: "airports",
            format: "JSON",
            timestamps: "None",
            seed: { file: "airports.csv", key: ["iata"], fixedTimestamp: "2001-01-01T00:00:00Z" },
          },
        ],
        tables: [
          {
            name: "flights",
            topic: "flights",
            kind: "Append",
            columns: [
              column("date", "TIMESTAMP"),
              column("delay", "INT64"),
              column("distance", "INT64"),
              column("origin", "STRING"),
              column("destination", "STRING"),
            ],
          },
          {
            name: "airports",
            topic: "airports",
            kind: "Upsert",
            distribution: "Broadcast",
            key: ["iata"],
            columns: [column("iata", "STRING"), column("name", "STRING", true)],
          },
        ],
      },
    },
    ...[
      [V1, "1"],
      [V2, "15"],
    ].map(([name, minutes]) => ({
      ...header("ServiceVersion", name as string),
      spec: { service: "flights.v1.DelayService", template: template(minutes as string) },
    })),
    ...[
      { ...header("Snapshot", "january"), spec: { asOf: "2001-02-01T00:00:00Z", bindings: binding(V1) } },
      { ...header("Snapshot", "all"), spec: { bindings: binding(V2) } },
      { ...header("Snapshot", "future"), spec: { asOf: "2031-01-01T00:00:00Z", bindings: binding(V2) } },
    ].filter(({ metadata }) => snapshots.includes(metadata.name)),
  ];
  const file = join(directory, "mesh.yaml");
  // JSON is YAML.
  writeFileSync(file, documents.map((document) => `---\n${JSON.stringify(document, null, 2)}\n`).join(""));
  return file;
}

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export function skynetes(...args: string[]): Promise<CommandResult> {
  return new Promise((done) => {
    execFile(SKYNETES, args, { cwd: "/", timeout: 100_000 }, (error, stdout, stderr) => {
      done({ code: error === null ? 0 : Number(error.code ?? -1), stdout, stderr });
    });
  });
}

export interface RunningMesh {
  readonly http: string;
  readonly pid: number;
  readonly stderr: () => string;
  readonly exited: Promise<number | null>;
  readonly process: ChildProcess;
}

/** Resolves at the ready line. */
export function startUp(manifest: string, dataDirectory: string, extra: readonly string[] = []): Promise<RunningMesh> {
  const ports = ["--http-port", "0", "--grpc-port", "0", "--control-port", "0"];
  const child = spawn(SKYNETES, ["up", "-m", manifest, "--data-dir", dataDirectory, ...ports, ...extra], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let text = "";
  child.stderr.on("data", (chunk) => {
    text += chunk;
  });
  const exited = new Promise<number | null>((done) => child.once("close", (code) => done(code)));
  return new Promise((resolve_, reject) => {
    exited.then((code) => reject(new Error(`up ended with ${code}:\n${text}`)));
    createInterface({ input: child.stdout }).on("line", (line) => {
      const { ready } = JSON.parse(line) as { ready: { http: string } };
      resolve_({
        http: `http://${ready.http}`,
        pid: child.pid as number,
        stderr: () => text,
        exited,
        process: child,
      });
    });
  });
}

export function childrenOf(pid: number): readonly { readonly pid: number; readonly command: string }[] {
  const list = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
  return list
    .split(" ")
    .filter((text) => text !== "")
    .map((child) => ({
      pid: Number(child),
      command: readFileSync(`/proc/${child}/cmdline`, "utf8").replaceAll("\0", " "),
    }));
}

export function isAlive(pid: number): boolean {
  try {
    return !readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ");
  } catch {
    return false;
  }
}
