import { readFileSync } from "node:fs";
import { InvalidArgumentError } from "commander";
import type { JsonCall } from "../client/client.ts";
import { findEndpoints } from "./find-endpoints.ts";

/** `package.Service[@version]/Method`. */
export interface CallText {
  readonly service: string;
  readonly version: string | undefined;
  readonly method: string;
}

export function parseCall(text: string): CallText {
  const [, service, version, method] = /^([\w.]+)(?:@([-\w]+))?\/(\w+)$/.exec(text) ?? [];
  if (service === undefined || method === undefined) {
    throw new InvalidArgumentError("It is package.Service/Method, such as flights.v1.DelayService/Summarize.");
  }
  return { service, version, method };
}

/** The request's text as it is, so that no digit passes through a number of this program; `-` reads stdin. */
export function jsonCall(snapshot: string, { service, method }: CallText, request: string | undefined): JsonCall {
  const text = request === "-" ? readFileSync(0, "utf8") : (request ?? "{}");
  return { snapshot, service, method, request: text };
}

export interface GatewayAddress {
  readonly gateway?: string;
  readonly dataDir: string;
}

export function gatewayUrl({ gateway, dataDir }: GatewayAddress): string {
  return gateway ?? `http://${findEndpoints(dataDir, "--gateway").http}`;
}
