import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { Fault } from "../../fault/fault.ts";
import type { Phase } from "../../lifecycle/mesh-plan.ts";
import { RETIRE_REASON } from "../../lifecycle/retire-reason.ts";
import type { RetiredSnapshot, Retirement } from "../../lifecycle/retirement.ts";
import type { SnapshotRecord } from "../../lifecycle/snapshot-record.ts";
import type { Log } from "../../log/log.ts";
import type { Manifest } from "../../manifest/manifest.ts";
import type { Cut } from "../../mesh/cut.ts";
import type { Clock } from "../../process/clock.ts";
import {
  type ControlledSnapshotSchema,
  type ControlService,
  SnapshotPhase,
} from "../../wire/generated/skynetes/v1/control_pb.ts";
import { CutSchema } from "../../wire/generated/skynetes/v1/seal_pb.ts";
import type { UnaryHandlers } from "../../wire/grpc-service.ts";
import { cutFromLog } from "../data/cut-from-log.ts";
import type { RejectSource } from "../data/rejects-of-nodes.ts";
import type { ControlStore } from "./control-store.ts";
import { placementHandlers } from "./placement-handlers.ts";
import { bindSnapshot, createSnapshot, fixCut, pinSnapshot, retireSnapshot, unretireSnapshot } from "./wishes.ts";

export interface ControlParts {
  readonly manifest: Manifest;
  readonly store: ControlStore;
  readonly log: Log;
  readonly clock: Clock;
  /** The mesh's plan as it is known now. */
  readonly view: ControlView;
  readonly wake: () => void;
  readonly rejects: RejectSource;
}

export interface ControlView {
  /** False while seeds are being produced: no cut would hold all of them. */
  seeded(): boolean;
  phase(snapshot: string): { readonly phase: Phase; readonly message: string } | undefined;
  planText(): string;
  /** What nodes are known to hold of the log. */
  committed(): Cut;
}

const PHASE: Record<Phase, SnapshotPhase> = {
  Cutting: SnapshotPhase.CUTTING,
  Freezing: SnapshotPhase.FREEZING,
  Sealing: SnapshotPhase.SEALING,
  Binding: SnapshotPhase.BINDING,
  Verifying: SnapshotPhase.VERIFYING,
  Serving: SnapshotPhase.SERVING,
  Retiring: SnapshotPhase.RETIRING,
};

/** ControlService on one machine. Every wish is in the control file before its call returns. */
export function controlHandlers(parts: ControlParts): UnaryHandlers<typeof ControlService> {
  const { manifest, store, clock, view, wake } = parts;
  const shown = (id: string) => {
    const record = store.state.snapshots.find((r) => r.id === id);
    if (record !== undefined) return controlled(record, parts);
    if (!store.state.retired.includes(id))
      throw new Fault("unknown-snapshot", `find snapshot "${id}": no such snapshot`);
    return gone(store.state.retirements.find((r) => r.id === id) ?? { id, retirement: undefined });
  };
  const wished = (id: string) => {
    wake();
    return { snapshot: shown(id) };
  };
  return {
    async createSnapshot(request) {
      if (!view.seeded()) throw new Fault("not-ready", "create snapshot: the topics' seeds are still being produced");
      const asOfMs = request.asOf === undefined ? undefined : timestampMs(request.asOf);
      const wish = {
        id: request.id === "" ? undefined : request.id,
        asOfMs,
        bindings: request.bindings,
        pinned: request.pinned,
      };
      // Tried before the cut is looked for, so that a wrong wish is told first; done after it, on what is then.
      const { id } = createSnapshot(store.state, wish, manifest, clock.now());
      const cut = await cutFromLog(
        parts.log,
        manifest.mesh.topics,
        { snapshot: id, asOfMs, allowInexactAsOf: false, committed: view.committed() },
        clock.now(),
      );
      store.update((state) => fixCut(createSnapshot(state, { ...wish, id }, manifest, clock.now()).state, id, cut));
      return wished(id);
    },
    getSnapshot: ({ id }) => ({ snapshot: shown(id) }),
    listControlledSnapshots: ({ retired }) => ({
      snapshots: [
        ...(retired ? store.state.retirements.map(gone) : []),
        ...store.state.snapshots.map((record) => controlled(record, parts)),
      ],
    }),
    bindSnapshot({ id, binding }) {
      if (binding === undefined) throw new Fault("invalid-request", `bind snapshot "${id}": no binding given`);
      store.update((state) => bindSnapshot(state, id, binding, manifest));
      return wished(id);
    },
    pinSnapshot({ id, pinned }) {
      store.update((state) => pinSnapshot(state, id, pinned));
      return wished(id);
    },
    retireSnapshot({ id, undo }) {
      store.update((state) =>
        undo ? unretireSnapshot(state, id, manifest) : retireSnapshot(state, id, { atMs: clock.now(), why: "Person" }),
      );
      return wished(id);
    },
    listRejects: async (request, { signal }) => ({
      rejects: await parts.rejects(request, signal),
      shards: manifest.mesh.shards,
    }),
    ...placementHandlers(parts),
    getMeshPlan: () => ({ text: view.planText() }),
  };
}

function controlled(
  record: SnapshotRecord,
  { store, view }: ControlParts,
): MessageInitShape<typeof ControlledSnapshotSchema> {
  const known = view.phase(record.id);
  const serving = store.published.table?.snapshots.find((snapshot) => snapshot.id === record.id)?.bindings ?? [];
  return {
    id: record.id,
    phase: known === undefined ? SnapshotPhase.CUTTING : PHASE[known.phase],
    message: known?.message ?? (view.seeded() ? "" : "waits for the topics' seeds"),
    ...(record.asOfMs === undefined ? {} : { asOf: timestampFromMs(record.asOfMs) }),
    createdAt: timestampFromMs(record.createdAtMs),
    ...(record.cut === undefined ? {} : { cut: create(CutSchema, { positions: [...record.cut.positions] }) }),
    pinned: record.pinned,
    bindings: record.bindings.map(({ service, version }) => ({ service, version })),
    serving: serving.map(({ service, version }) => ({ service, version })),
    scheduled: record.scheduled,
    ...retirementOf(record.retirement),
  };
}

function gone({ id, retirement }: RetiredSnapshot): MessageInitShape<typeof ControlledSnapshotSchema> {
  return { id, phase: SnapshotPhase.RETIRED, ...retirementOf(retirement) };
}

function retirementOf(retirement: Retirement | undefined): MessageInitShape<typeof ControlledSnapshotSchema> {
  if (retirement === undefined) return {};
  return { retiredAt: timestampFromMs(retirement.atMs), retireReason: RETIRE_REASON[retirement.why] };
}
