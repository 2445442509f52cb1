/**
 * How a process says that it can be used: exactly one line of JSON on stdout, `{"ready":{"address":"127.0.0.1:4711"}}`,
 * names and host:port addresses of what it serves.
 */
export type ReadyAddresses = Readonly<Record<string, string>>;

export function printReady(addresses: ReadyAddresses): void {
  process.stdout.write(`${JSON.stringify({ ready: addresses })}\n`);
}

/** The addresses, or `undefined` when the line is not a ready line. */
export function parseReady(line: string): ReadyAddresses | undefined {
  try {
    const ready: unknown = (JSON.parse(line) as { ready?: unknown } | null)?.ready;
    if (typeof ready !== "object" || ready === null || Array.isArray(ready)) return undefined;
    const entries = Object.entries(ready);
    return entries.every(([, value]) => typeof value === "string")
      ? (Object.fromEntries(entries) as ReadyAddresses)
      : undefined;
  } catch {
    return undefined;
  }
}

/** The port of a host:port, IPv6 hosts in brackets included. */
export function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(":") + 1));
}
