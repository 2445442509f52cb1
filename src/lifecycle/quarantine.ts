/**
 * A replica whose state at a cut is not what the log says. No service of it is bound or routed to, for any snapshot of that
 * shard, until it has been built anew and has agreed. Durable: a restart of the driver must not let it answer again.
 */
export interface Quarantine {
  readonly shard: number;
  readonly node: string;
  /** Where it was found out. */
  readonly snapshot: string;
  /** What the replica had. */
  readonly stateDigest: string;
  /** What the others have, the seal names, or the log was derived to. */
  readonly expected: string;
  /** Tables that differ; empty when that is not known. */
  readonly tables: readonly string[];
  readonly sinceMs: number;
  /** Its node has thrown away what it had, and builds it from the log. */
  readonly rebuilt: boolean;
}

/** For a person: node, shard, snapshot, both digests, and the tables that differ. */
export function quarantineText({ shard, node, snapshot, stateDigest, expected, tables, rebuilt }: Quarantine): string {
  const which = tables.length === 0 ? "" : ` in ${tables.map((table) => `table "${table}"`).join(", ")}`;
  const next = rebuilt ? "it is built anew from the log" : "it is kept from all queries and will be built anew";
  return (
    `shard ${shard} on ${node} is quarantined: at "${snapshot}" its state digest is ${stateDigest}, ` +
    `right is ${expected}; it differs${which}; ${next}`
  );
}
