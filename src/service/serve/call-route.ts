import type { Metadata } from "@grpc/grpc-js";
import { Fault } from "../../fault/fault.ts";
import { ROUTE_HEADERS } from "../../mesh/route-headers.ts";
import { SNAPSHOT_ID_RULE, snapshotId } from "../../mesh/snapshot-id.ts";

/** Which shard of which snapshot a call is for. */
export interface CallRoute {
  readonly shard: number;
  readonly snapshot: string;
}

/** What this process is, for the calls that reach it. */
export interface OwnRoute {
  readonly serviceVersion: string;
  /** Nodes whose placements it serves; undefined: it was not told, and takes any. */
  readonly nodes?: ReadonlySet<string> | undefined;
}

const SHARD = /^(0|[1-9][0-9]{0,8})$/;

/**
 * Reads the route headers of a call and refuses one that was meant for somebody else: the mesh's routes may be wrong,
 * and then the answer must be an error and not another version's.
 * Faults: `malformed-request`, `unknown-version`, `wrong-placement`.
 */
export function callRoute(metadata: Metadata, own: OwnRoute): CallRoute {
  assertOwn(metadata, own);
  const shard = required(metadata, ROUTE_HEADERS.shard);
  if (!SHARD.test(shard)) throw malformed(ROUTE_HEADERS.shard, shard, "it is not a shard number");
  const snapshot = required(metadata, ROUTE_HEADERS.snapshot);
  if (snapshotId(snapshot) === undefined) throw malformed(ROUTE_HEADERS.snapshot, snapshot, SNAPSHOT_ID_RULE);
  return { shard: Number(shard), snapshot };
}

/** The same of a call in a packed stream, whose opening has said the rest. Fault `malformed-request`. */
export function packedRoute(shard: number, snapshot: string): CallRoute {
  if (shard < 0) throw new Fault("malformed-request", `read a call: ${shard} is not a shard number`);
  if (snapshotId(snapshot) === undefined) {
    const name = JSON.stringify(snapshot.slice(0, 100));
    throw new Fault("malformed-request", `read a call: snapshot ${name}: ${SNAPSHOT_ID_RULE}`);
  }
  return { shard, snapshot };
}

/**
 * What the headers promise of all calls that come with them: this version, on this node.
 * Faults: `malformed-request`, `unknown-version`, `wrong-placement`.
 */
export function assertOwn(metadata: Metadata, own: OwnRoute): void {
  const version = required(metadata, ROUTE_HEADERS.version);
  if (version !== own.serviceVersion) {
    throw new Fault("unknown-version", `call for service version "${version}": this is "${own.serviceVersion}"`);
  }
  const placement = single(metadata, ROUTE_HEADERS.placement);
  if (placement !== undefined && own.nodes !== undefined && !own.nodes.has(placement)) {
    throw new Fault(
      "wrong-placement",
      `call for the placement on "${placement}": this is ${[...own.nodes].join(", ")}`,
    );
  }
}

function required(metadata: Metadata, header: string): string {
  const value = single(metadata, header);
  if (value === undefined) throw new Fault("malformed-request", `read ${header}: the call has none`);
  return value;
}

/**
 * A header that comes twice reaches us as two values or as one joined with a comma. Which of them a proxy matched on
 * cannot be known, so neither counts.
 */
function single(metadata: Metadata, header: string): string | undefined {
  const values = metadata.get(header).map(String);
  if (values.length === 0) return undefined;
  const [value = ""] = values;
  if (values.length > 1 || value.includes(",")) throw malformed(header, values.join(","), "it has more than one value");
  return value;
}

function malformed(header: string, value: string, reason: string): Fault {
  return new Fault("malformed-request", `read ${header} "${value.slice(0, 100)}": ${reason}`);
}
