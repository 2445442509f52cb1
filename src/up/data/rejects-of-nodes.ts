import { Fault } from "../../fault/fault.ts";
import { faultFromUnknown } from "../../fault/fault-from-unknown.ts";
import type { Manifest } from "../../manifest/manifest.ts";
import type { ListRejectsRequest } from "../../wire/generated/skynetes/v1/control_pb.ts";
import type { Reject } from "../../wire/generated/skynetes/v1/reject_pb.ts";
import type { ControlClients } from "../child/control-clients.ts";

/** A page of a shard's rejects. */
export type RejectSource = (request: ListRejectsRequest, signal: AbortSignal) => Promise<Reject[]>;

const READ_TIMEOUT_MS = 5_000;

export interface RejectParts {
  readonly manifest: Manifest;
  readonly clients: Pick<ControlClients, "node">;
  /** host:port of a node, while it is up. */
  readonly addressOf: (node: string) => string | undefined;
}

/** From the first node of the shard that answers: what is a reject follows from the log, so all of them have the same. */
export function rejectsOfNodes({ manifest, clients, addressOf }: RejectParts): RejectSource {
  return async ({ shard, after, limit }, signal) => {
    const nodes = manifest.mesh.placements[shard];
    if (nodes === undefined) {
      throw new Fault(
        "invalid-request",
        `read rejects: there is no shard ${shard}, only ${manifest.mesh.shards} shards`,
      );
    }
    const failures: string[] = [];
    for (const node of nodes) {
      const address = addressOf(node);
      if (address === undefined) failures.push(`${node} is not up`);
      else {
        try {
          const request = { shard, limit, ...(after === undefined ? {} : { after }) };
          return (await clients.node(address).readRejects(request, { timeoutMs: READ_TIMEOUT_MS, signal })).rejects;
        } catch (error) {
          const fault = faultFromUnknown(error, `read rejects of shard ${shard} from ${node}`);
          if (fault.id === "invalid-request") throw fault;
          failures.push(fault.message);
        }
      }
    }
    throw new Fault("not-ready", `read rejects of shard ${shard}: ${failures.join("; ")}`);
  };
}
