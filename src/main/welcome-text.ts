import type { Manifest } from "../manifest/manifest.ts";
import type { Endpoints } from "../up/endpoints-file.ts";

export interface WelcomeFacts {
  readonly manifest: Manifest;
  readonly endpoints: Endpoints;
  /** Snapshots whose time the log has not passed yet. */
  readonly waiting: readonly string[];
  /** By snapshot, why its service cannot be loaded. */
  readonly failed: ReadonlyMap<string, string>;
  readonly dataDir: string;
}

/** Where to go, to be copied and pasted. */
export function welcomeText(facts: WelcomeFacts): string {
  const { manifest, endpoints } = facts;
  const { mesh } = manifest;
  const lines = [
    "",
    `Mesh ${mesh.name} is up: ${mesh.shards} shards on ${mesh.nodes.length} nodes.`,
    "",
    `  HTTP     http://${endpoints.http}   /v1/snapshots  /v1/mesh  /openapi.json  /metrics`,
    `  gRPC     ${endpoints.grpc}         reflection and health are on`,
    `  control  ${endpoints.control}         for 'skynetes snapshot'`,
    "",
    ...snapshotLines(facts),
    ...exampleLines(facts),
    "Stop with Ctrl-C; the next start goes on with the data that is there.",
    "",
  ];
  return `${lines.map((line) => line.trimEnd()).join("\n")}\n`;
}

function snapshotLines({ manifest, waiting, failed }: WelcomeFacts): readonly string[] {
  if (manifest.snapshots.length === 0) return [];
  const width = Math.max(...manifest.snapshots.map(({ id }) => id.length));
  const line = ({ id, bindings }: Manifest["snapshots"][number]) => {
    const reason = failed.get(id);
    const serves = reason === undefined ? bindings.map(({ version }) => version).join(", ") : `fails: ${reason}`;
    const what = waiting.includes(id) ? "waits: the log has not passed its time yet" : serves;
    return `  ${id.padEnd(width)}  ${what}`;
  };
  return ["Snapshots:", ...manifest.snapshots.map(line), ""];
}

function exampleLines({ manifest, endpoints, waiting, failed, dataDir }: WelcomeFacts): readonly string[] {
  const { http, grpc } = endpoints;
  const snapshot = manifest.snapshots.findLast(({ id }) => !waiting.includes(id) && !failed.has(id));
  const service = snapshot?.bindings[0]?.service;
  if (snapshot === undefined || service === undefined) return [];
  const flag = dataDir === ".skynetes" ? "" : ` --data-dir ${dataDir}`;
  // The gateway knows the methods; the manifest only the services. The flights example is worth a ready question.
  const isFlights = service === "flights.v1.DelayService";
  const method = isFlights ? "Summarize" : "METHOD";
  const request = isFlights ? '{"origin":"LAX"}' : "{}";
  return [
    "Try:",
    `  curl -s http://${http}/v1/snapshots/${snapshot.id}/${service}/${method} -H 'content-type: application/json' -d '${request}'`,
    `  grpcurl -plaintext -H 'x-skynetes-snapshot: ${snapshot.id}' -d '${request}' ${grpc} ${service}/${method}`,
    `  skynetes query ${snapshot.id} ${service}/${method} '${request}'${flag}`,
    `  skynetes snapshot list${flag}`,
    "",
  ];
}
