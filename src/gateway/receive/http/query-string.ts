import { Fault } from "../../../fault/fault.ts";

/**
 * The query string holds controls only, so a name that is not one is a mistake: `compleetness=strict` must not be
 * answered as if nothing had been said. Faults: `invalid-request`.
 */
export function readQueryString<N extends string>(raw: unknown, allowed: readonly N[]): { readonly [K in N]?: string } {
  const found: { [K in N]?: string } = {};
  for (const [name, value] of Object.entries((raw ?? {}) as Record<string, unknown>)) {
    const shown = JSON.stringify(name.slice(0, 80));
    if (!(allowed as readonly string[]).includes(name)) {
      const known = allowed.length === 0 ? "none is known here" : `known are ${allowed.join(", ")}`;
      throw new Fault("invalid-request", `read query string: unknown parameter ${shown}; ${known}`);
    }
    if (typeof value !== "string") {
      throw new Fault("invalid-request", `read query string: parameter ${shown} is there more than once`);
    }
    found[name as N] = value;
  }
  return found;
}
