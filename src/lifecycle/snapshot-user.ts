import type { MeshFacts } from "./mesh-facts.ts";

/**
 * Who may still send a call for what the table in force no longer names: a lease holder that has not acknowledged that
 * table, or has queries under way that began under an older one. Without `version`, for any version of the snapshot.
 */
export function userOf(facts: MeshFacts, snapshot: string, version?: string): string | undefined {
  const epoch = facts.observed.table?.epoch ?? 0n;
  for (const { name, status } of facts.holders) {
    if (status === undefined) return `gateway ${name} holds a lease and is not reachable`;
    if (status.epoch !== epoch) return `gateway ${name} is at epoch ${status.epoch}, the table at ${epoch}`;
    const queries = status.inUse
      .filter((use) => use.snapshot === snapshot && (version === undefined || use.version === version))
      .reduce((sum, use) => sum + use.queries, 0);
    if (queries > 0) return `gateway ${name} has ${queries} queries on it`;
  }
  return undefined;
}
