import { rmSync } from "node:fs";
import { readTextIfThere, writeDurableFileSync } from "../process/durable-file.ts";
import { object, string } from "./control/read-json.ts";

/** Where a running mesh is reached: host:port each. Written by `up`, read by the other commands. */
export interface Endpoints {
  readonly http: string;
  readonly grpc: string;
  readonly control: string;
}

export function writeEndpoints(file: string, endpoints: Endpoints): void {
  writeDurableFileSync(file, `${JSON.stringify(endpoints, null, 2)}\n`);
}

/** `undefined`: no mesh has announced itself in this data directory. */
export function readEndpoints(file: string): Endpoints | undefined {
  const text = readTextIfThere(file);
  if (text === undefined) return undefined;
  const json = object(JSON.parse(text), file);
  return {
    http: string(json.http, `${file}: http`),
    grpc: string(json.grpc, `${file}: grpc`),
    control: string(json.control, `${file}: control`),
  };
}

export function removeEndpoints(file: string): void {
  rmSync(file, { force: true });
}
