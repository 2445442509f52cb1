import { create } from "@bufbuild/protobuf";
import { Fault } from "../../fault/fault.ts";
import { SNAPSHOT_ID_RULE, snapshotId } from "../../mesh/snapshot-id.ts";
import type { Stamp } from "../../mesh/stamp.ts";
import type { BindingService, BindRequest } from "../../wire/generated/skynetes/v1/binding_pb.ts";
import { StampSchema } from "../../wire/generated/skynetes/v1/stamp_pb.ts";
import type { UnaryHandlers } from "../../wire/grpc-service.ts";
import type { ShardFiles } from "../load/verify-shard.ts";
import type { Binder } from "./binder.ts";
import { type BindingTable, stateBytes } from "./binding-table.ts";

export interface BindingHandlersOptions<State> {
  readonly binder: Binder<State>;
  readonly table: BindingTable<State>;
  readonly service: string;
  readonly serviceVersion: string;
  readonly descriptors: Uint8Array;
  readonly instance: string;
  /** When given, shards of other meshes are refused. */
  readonly mesh?: string | undefined;
  /** Called after what is bound has changed. */
  readonly changed: () => void;
}

/** BindingService over the binder and the table. */
export function bindingHandlers<State>(options: BindingHandlersOptions<State>): UnaryHandlers<typeof BindingService> {
  const { binder, table, instance } = options;
  return {
    describe: () => ({
      service: options.service,
      serviceVersion: options.serviceVersion,
      descriptors: options.descriptors,
      converse: true,
      instance,
    }),
    async bind(request) {
      const { binding, advancedFrom = "" } = await binder.bind(shardFilesOf(request, options.mesh));
      options.changed();
      const memoryBytes = BigInt(Math.round(stateBytes(binding)));
      return { stamp: stampMessage(binding.stamp), memoryBytes, advancedFrom };
    },
    unbind(request) {
      binder.unbind(request.snapshot, request.shard);
      options.changed();
      return {};
    },
    listBindings: () => ({ bound: table.stamps().map(stampMessage), instance }),
  };
}

export function stampMessage(stamp: Stamp) {
  return create(StampSchema, stamp);
}

function shardFilesOf(request: BindRequest, mesh: string | undefined): ShardFiles {
  if (snapshotId(request.snapshot) === undefined) {
    throw new Fault("invalid-request", `bind: "${request.snapshot}" is not a snapshot id: ${SNAPSHOT_ID_RULE}`);
  }
  if (request.shard < 0) throw new Fault("invalid-request", `bind: shard is ${request.shard}, must not be negative`);
  if (request.stateDigest === "") throw new Fault("invalid-request", "bind: state_digest is empty");
  if (mesh !== undefined && request.mesh !== mesh) {
    throw new Fault("invalid-request", `bind: mesh is "${request.mesh}", this service is of mesh "${mesh}"`);
  }
  return request;
}
