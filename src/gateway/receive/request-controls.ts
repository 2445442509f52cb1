import { Fault } from "../../fault/fault.ts";

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000 };

/** Reads `250ms`, `2s`, `1.5s`, `1m`. Fault `invalid-request`. */
export function parseTimeout(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const match = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m)$/.exec(text);
  const ms = match === null ? 0 : Number(match[1]) * (UNIT_MS[match[2] as string] as number);
  if (ms < 1) throw new Fault("invalid-request", `read timeout: ${shown(text)} is not a time such as 250ms, 2s or 1m`);
  return ms;
}

/** A query's id, chosen by the client so that it can cancel what it started. Fault `invalid-request`. */
export function parseQueryId(text: string | undefined): string | undefined {
  if (text === undefined || /^[A-Za-z0-9._-]{1,128}$/.test(text)) return text;
  throw new Fault(
    "invalid-request",
    `read query id: ${shown(text)} is not 1 to 128 of A-Z, a-z, 0-9, '.', '_' and '-'`,
  );
}

/** An epoch. Fault `invalid-request`. */
export function parseAtLeast(text: string | undefined): bigint | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,18}$/.test(text)) return BigInt(text);
  throw new Fault("invalid-request", `read x-skynetes-at-least: ${shown(text)} is not an epoch`);
}

/** `package.Service` or `package.Service@version`. */
export function parseServiceName(text: string): { service: string; version?: string } {
  const at = text.indexOf("@");
  return at < 0 ? { service: text } : { service: text.slice(0, at), version: text.slice(at + 1) };
}

function shown(text: string): string {
  return JSON.stringify(text.slice(0, 80));
}
