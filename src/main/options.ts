/** Options that several commands share, so that they are spelled, explained and checked once. */
import { resolve } from "node:path";
import { InvalidArgumentError, Option } from "commander";

export const dataDirOption = () =>
  new Option("--data-dir <directory>", "where the mesh keeps what it has")
    .env("SKYNETES_DATA_DIR")
    .default(".skynetes")
    .argParser((text: string) => text);

export const manifestOption = () =>
  new Option("-m, --manifest <file>", "the mesh manifest").env("SKYNETES_MANIFEST").default("mesh.yaml");

/** For commands that write to the log of a mesh that need not run. */
export const logManifestOption = () =>
  new Option("-m, --manifest <file>", "the mesh whose log it is; otherwise that of the data directory");

export const outputOption = (value: "table" | "json") =>
  new Option("-o, --output <format>", "for people or for programs").choices(["table", "json"]).default(value);

export const httpPortOption = () =>
  new Option("--http-port <port>", "port of the HTTP interface; 0: any free one")
    .env("SKYNETES_HTTP_PORT")
    .default(8080)
    .argParser(parsePort);

export const grpcPortOption = () =>
  new Option("--grpc-port <port>", "port of the gRPC interface; 0: any free one")
    .env("SKYNETES_GRPC_PORT")
    .default(50051)
    .argParser(parsePort);

export const hostOption = () =>
  new Option("--host <address>", "address that clients reach; 0.0.0.0: from anywhere").default("127.0.0.1");

export const listenOption = () =>
  new Option("--listen <host:port>", "where to serve; port 0: any free one")
    .default({ host: "127.0.0.1", port: 0 }, "127.0.0.1:0")
    .argParser(parseListen);

export function absolute(directory: string): string {
  return resolve(directory);
}

export function parsePort(text: string): number {
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port > 65_535) throw new InvalidArgumentError("A port is a number from 0 to 65535.");
  return port;
}

export function parseListen(text: string): { host: string; port: number } {
  const [, host, port] = /^(?:\[([^\]]+)\]|[^:]+):(\d{1,5})$/.exec(text) ?? [];
  const plain = text.slice(0, text.lastIndexOf(":"));
  if (port === undefined) throw new InvalidArgumentError("It is host:port, such as 127.0.0.1:0 or [::1]:50051.");
  return { host: host ?? plain, port: parsePort(port) };
}

export function parseCount(text: string): number {
  const count = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(count)) throw new InvalidArgumentError("It is a whole number.");
  return count;
}

const UNIT_MS: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** `500ms`, `2s`, `1.5m`, `1h`, in milliseconds. */
export function parseDuration(text: string): number {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text) ?? [];
  if (amount === undefined || unit === undefined)
    throw new InvalidArgumentError("It is such as 500ms, 2s, 1.5m or 1h.");
  return Number(amount) * (UNIT_MS[unit] as number);
}

/** An instant in RFC 3339, in milliseconds since the Unix epoch. */
export function parseInstant(text: string): number {
  const isInstant = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d)$/.test(text);
  const ms = isInstant ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(ms)) throw new InvalidArgumentError("It is a time such as 2001-04-01T00:00Z.");
  return ms;
}
