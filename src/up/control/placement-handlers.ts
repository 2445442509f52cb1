import type { MessageInitShape } from "@bufbuild/protobuf";
import type { PlacementPhase as Phase } from "../../lifecycle/placement.ts";
import { quarantineText } from "../../lifecycle/quarantine.ts";
import type { Manifest } from "../../manifest/manifest.ts";
import {
  type ControlService,
  PlacementPhase,
  type ShardPlacementSchema,
} from "../../wire/generated/skynetes/v1/control_pb.ts";
import type { UnaryHandlers } from "../../wire/grpc-service.ts";
import type { ControlState } from "./control-state.ts";
import type { ControlStore } from "./control-store.ts";
import { cancelMove, moveShard } from "./placement-wishes.ts";

const PHASE: Record<Phase, PlacementPhase> = {
  Placed: PlacementPhase.PLACED,
  Joining: PlacementPhase.JOINING,
  Leaving: PlacementPhase.LEAVING,
  Removing: PlacementPhase.REMOVING,
};

export interface PlacementControlParts {
  readonly manifest: Manifest;
  readonly store: ControlStore;
  readonly wake: () => void;
}

type Handlers = Pick<UnaryHandlers<typeof ControlService>, "listPlacements" | "moveShard" | "cancelMove">;

/** Where shards are, over ControlService. Every wish is in the control file before its call returns. */
export function placementHandlers({ manifest, store, wake }: PlacementControlParts): Handlers {
  const wished = (change: (state: ControlState) => ControlState) => {
    store.update(change);
    wake();
    return { placements: shown(store.state) };
  };
  return {
    listPlacements: () => ({ placements: shown(store.state) }),
    moveShard: (move) => wished((state) => moveShard(state, move, manifest)),
    cancelMove: ({ shard }) => wished((state) => cancelMove(state, shard)),
  };
}

function shown({ placements, quarantined }: ControlState): MessageInitShape<typeof ShardPlacementSchema>[] {
  return placements.map(({ shard, node, phase }) => {
    const quarantine = quarantined.find((q) => q.shard === shard && q.node === node);
    return { shard, node, phase: PHASE[phase], quarantine: quarantine === undefined ? "" : quarantineText(quarantine) };
  });
}
