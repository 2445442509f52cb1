/**
 * What people, programs and the manifest may wish of snapshots, as changes of the control state. Pure: the caller makes
 * the result durable before it answers.
 */
import { Fault } from "../../fault/fault.ts";
import { newestRetired, type Retirement } from "../../lifecycle/retirement.ts";
import type { FixedCut, SnapshotRecord } from "../../lifecycle/snapshot-record.ts";
import { recordOf } from "../../lifecycle/snapshot-record.ts";
import type { BindingSpec, Manifest } from "../../manifest/manifest.ts";
import { serviceVersionName } from "../../mesh/service-version.ts";
import { SNAPSHOT_ID_RULE, snapshotId } from "../../mesh/snapshot-id.ts";
import { type ControlState, RETIRED_KEPT } from "./control-state.ts";
import { takePlacements } from "./placement-wishes.ts";

/** Named bound: every record costs a few lines in each plan and each table. */
export const SNAPSHOTS_MAX = 10_000;

export function takeManifest(state: ControlState, manifest: Manifest, nowMs: number): ControlState {
  let next = takePlacements(state, manifest);
  for (const spec of manifest.snapshots) {
    const known = next.snapshots.find((record) => record.id === spec.id);
    const before = next.fromManifest[spec.id];
    next = { ...next, fromManifest: { ...next.fromManifest, [spec.id]: spec.bindings } };
    if (known !== undefined) {
      if (!sameBindings(before ?? [], spec.bindings)) next = replace(next, { ...known, bindings: spec.bindings });
    } else if (!next.retired.includes(spec.id)) {
      next = { ...next, snapshots: [...next.snapshots, recordOf(spec, nowMs)] };
    }
  }
  return next;
}

/** Bindings that name a version which the manifest no longer has, by snapshot: nothing can serve them. */
export function danglingBindings(state: ControlState, manifest: Manifest): readonly string[] {
  const known = new Set<string>(manifest.versions.map((version) => version.name));
  return state.snapshots.flatMap((record) =>
    record.retiring
      ? []
      : record.bindings.filter((b) => !known.has(b.version)).map((b) => `${record.id}: ${b.version}`),
  );
}

export interface NewSnapshot {
  readonly id: string | undefined;
  readonly asOfMs: number | undefined;
  readonly bindings: readonly { readonly service: string; readonly version: string }[];
  readonly pinned: boolean;
}

/** Faults: `invalid-request`, `snapshot-exists`, `snapshot-retired`, `unknown-version`, `overloaded`. */
export function createSnapshot(
  state: ControlState,
  wish: NewSnapshot,
  manifest: Manifest,
  nowMs: number,
): { readonly state: ControlState; readonly id: string } {
  const id = wish.id ?? idOfTime(nowMs, state);
  if (snapshotId(id) === undefined) {
    throw new Fault("invalid-request", `create snapshot "${id}": an id is ${SNAPSHOT_ID_RULE}`);
  }
  if (state.snapshots.some((record) => record.id === id)) {
    throw new Fault("snapshot-exists", `create snapshot "${id}": it exists`);
  }
  if (state.retired.includes(id)) {
    throw new Fault("snapshot-retired", `create snapshot "${id}": it existed and is retired; an id is used once`);
  }
  if (state.snapshots.length >= SNAPSHOTS_MAX) {
    throw new Fault("overloaded", `create snapshot "${id}": there are ${SNAPSHOTS_MAX} already; retire some first`);
  }
  const bindings = wish.bindings.length > 0 ? wish.bindings : (manifest.mesh.schedule?.bindings ?? []);
  if (bindings.length === 0) {
    throw new Fault(
      "invalid-request",
      `create snapshot "${id}": no bindings given, and the manifest has none for scheduled snapshots`,
    );
  }
  const record: SnapshotRecord = {
    id,
    asOfMs: wish.asOfMs,
    allowInexactAsOf: false,
    cut: undefined,
    bindings: checkedBindings(bindings, manifest, `create snapshot "${id}"`),
    pinned: wish.pinned,
    retiring: false,
    scheduled: false,
    createdAtMs: nowMs,
  };
  return { state: { ...state, snapshots: [...state.snapshots, record] }, id };
}

export function createScheduled(state: ControlState, id: string, dueMs: number, manifest: Manifest): ControlState {
  const lastDueMs = Math.max(state.lastDueMs, dueMs);
  if (state.snapshots.some((record) => record.id === id) || state.retired.includes(id)) return { ...state, lastDueMs };
  const record: SnapshotRecord = {
    id,
    asOfMs: undefined,
    allowInexactAsOf: false,
    cut: undefined,
    bindings: manifest.mesh.schedule?.bindings ?? [],
    pinned: false,
    retiring: false,
    scheduled: true,
    createdAtMs: dueMs,
  };
  return { ...state, lastDueMs, snapshots: [...state.snapshots, record] };
}

/** Moves one service of a snapshot to another version. */
export function bindSnapshot(
  state: ControlState,
  id: string,
  binding: { readonly service: string; readonly version: string },
  manifest: Manifest,
): ControlState {
  const record = livingRecord(state, id, "bind");
  const [checked] = checkedBindings([binding], manifest, `bind snapshot "${id}"`) as [BindingSpec];
  const others = record.bindings.filter((b) => b.service !== checked.service);
  return replace(state, { ...record, bindings: [...others, checked] });
}

export function pinSnapshot(state: ControlState, id: string, pinned: boolean): ControlState {
  return replace(state, { ...livingRecord(state, id, "pin"), pinned });
}

/** Retiring twice is the same wish, and the first reason stays. */
export function retireSnapshot(state: ControlState, id: string, retirement: Retirement): ControlState {
  const record = state.snapshots.find((r) => r.id === id);
  if (record?.retiring) return state;
  return replace(state, { ...livingRecord(state, id, "retire"), retiring: true, retirement });
}

/**
 * Takes a retirement back; the snapshot serves again when it is bound and verified. What the schedule made is pinned, or
 * it would be retired again at once. Faults: `snapshot-retired` when the mesh has begun to delete it, `unknown-version`
 * when what it is bound to has left the manifest.
 */
export function unretireSnapshot(state: ControlState, id: string, manifest: Manifest): ControlState {
  const record = state.snapshots.find((r) => r.id === id);
  if (record === undefined || !record.retiring) {
    livingRecord(state, id, "take back the retirement of");
    return state;
  }
  if (record.doomed) {
    throw new Fault("snapshot-retired", `take back the retirement of snapshot "${id}": its files are being deleted`);
  }
  checkedBindings(record.bindings, manifest, `take back the retirement of snapshot "${id}"`);
  const pinned = record.pinned || record.scheduled;
  return replace(state, { ...record, retiring: false, retirement: undefined, pinned });
}

/** From now on it is deleted; not if its retirement was taken back meanwhile. */
export function doomSnapshot(state: ControlState, id: string): ControlState {
  const record = state.snapshots.find((r) => r.id === id);
  return record?.retiring ? replace(state, { ...record, doomed: true }) : state;
}

/** The cut is written once and never again. */
export function fixCut(state: ControlState, id: string, cut: FixedCut): ControlState {
  const record = state.snapshots.find((r) => r.id === id);
  return record === undefined || record.cut !== undefined ? state : replace(state, { ...record, cut });
}

export function forgetSnapshot(state: ControlState, id: string): ControlState {
  const gone = state.snapshots.find((record) => record.id === id);
  if (gone === undefined) return state;
  return {
    ...state,
    snapshots: state.snapshots.filter((record) => record.id !== id),
    retired: [...state.retired, id].slice(-RETIRED_KEPT),
    retirements: newestRetired([...state.retirements, { id, retirement: gone.retirement }]),
  };
}

function livingRecord(state: ControlState, id: string, deed: string): SnapshotRecord {
  const record = state.snapshots.find((r) => r.id === id);
  if (record === undefined) {
    if (state.retired.includes(id)) throw new Fault("snapshot-retired", `${deed} snapshot "${id}": it is retired`);
    throw new Fault("unknown-snapshot", `${deed} snapshot "${id}": no such snapshot`);
  }
  if (record.retiring) throw new Fault("snapshot-retired", `${deed} snapshot "${id}": it is being retired`);
  return record;
}

function checkedBindings(
  bindings: readonly { readonly service: string; readonly version: string }[],
  manifest: Manifest,
  attempted: string,
): readonly BindingSpec[] {
  const services = new Set<string>();
  return bindings.map(({ service, version }) => {
    const name = serviceVersionName(version);
    const spec = manifest.versions.find((v) => v.name === name);
    if (name === undefined || spec === undefined) {
      const known = manifest.versions.filter((v) => v.service === service).map((v) => v.name);
      const there = known.length === 0 ? `no version of ${service}` : known.join(", ");
      throw new Fault("unknown-version", `${attempted}: no service version "${version}"; the manifest has ${there}`);
    }
    if (spec.service !== service) {
      throw new Fault(
        "invalid-request",
        `${attempted}: ${version} is a version of ${spec.service}, not of "${service}"`,
      );
    }
    if (services.has(service)) throw new Fault("invalid-request", `${attempted}: ${service} is bound twice`);
    services.add(service);
    return { service, version: name };
  });
}

function replace(state: ControlState, record: SnapshotRecord): ControlState {
  return { ...state, snapshots: state.snapshots.map((r) => (r.id === record.id ? record : r)) };
}

function sameBindings(a: readonly BindingSpec[], b: readonly BindingSpec[]): boolean {
  const text = (bindings: readonly BindingSpec[]) =>
    bindings
      .map((x) => `${x.service}=${x.version}`)
      .sort()
      .join();
  return text(a) === text(b);
}

/** `s-20260102-030405`, and a number behind it when that second has one already. */
function idOfTime(nowMs: number, state: ControlState): string {
  const text = new Date(nowMs).toISOString();
  const base = `s-${text.slice(0, 10).replaceAll("-", "")}-${text.slice(11, 19).replaceAll(":", "")}`;
  const taken = (id: string) => state.retired.includes(id) || state.snapshots.some((record) => record.id === id);
  let id = base;
  for (let n = 2; taken(id); n++) id = `${base}-${n}`;
  return id;
}
