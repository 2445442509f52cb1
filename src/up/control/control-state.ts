/**
 * What `skynetes up` must not forget: the wishes and the cuts. One file, replaced whole before anything acts on it.
 */

import { Fault } from "../../fault/fault.ts";
import type { Placement, PlacementPhase } from "../../lifecycle/placement.ts";
import type { Quarantine } from "../../lifecycle/quarantine.ts";
import {
  newestRetired,
  RETIREMENTS_KEPT,
  type RetiredSnapshot,
  type Retirement,
  type RetireReason,
} from "../../lifecycle/retirement.ts";
import type { SnapshotRecord } from "../../lifecycle/snapshot-record.ts";
import type { BindingSpec } from "../../manifest/manifest.ts";
import { SERVICE_VERSION_RULE, serviceVersionName } from "../../mesh/service-version.ts";
import { fixedCutFromJson, fixedCutToJson } from "./cut-json.ts";
import { array, boolean, number, object, optional, string } from "./read-json.ts";

export interface ControlState {
  /** Name and shards of the mesh that the data directory belongs to. */
  readonly mesh: string;
  readonly shards: number;
  /** Topics whose seed has been produced to its end. */
  readonly seeded: readonly string[];
  readonly snapshots: readonly SnapshotRecord[];
  /**
   * Bindings of the manifest's snapshots as the manifest last gave them. A binding moved by hand stays until the
   * manifest itself changes, and then the manifest's wins.
   */
  readonly fromManifest: Readonly<Record<string, readonly BindingSpec[]>>;
  /** Where shards are, and which of them are on a move; empty until the first manifest is taken. */
  readonly placements: readonly Placement[];
  /** As the manifest last gave them: nodes by shard. */
  readonly placementsFromManifest: readonly (readonly string[])[];
  readonly quarantined: readonly Quarantine[];
  /** Ids that are gone. An id means one state for ever, so it is never given again. The newest RETIRED_KEPT are kept. */
  readonly retired: readonly string[];
  /** The newest of those, with their times and reasons. */
  readonly retirements: readonly RetiredSnapshot[];
  /** When the newest snapshot of the schedule was due. */
  readonly lastDueMs: number;
}

export const RETIRED_KEPT = 100_000;

const FORMAT = 1;

export function emptyControlState(mesh: string, shards: number, nowMs: number): ControlState {
  return {
    mesh,
    shards,
    seeded: [],
    snapshots: [],
    fromManifest: {},
    placements: [],
    placementsFromManifest: [],
    quarantined: [],
    retired: [],
    retirements: [],
    lastDueMs: nowMs,
  };
}

export function controlStateToText(state: ControlState): string {
  const snapshots = state.snapshots.map((record) => ({
    ...record,
    cut: record.cut === undefined ? undefined : fixedCutToJson(record.cut),
  }));
  return `${JSON.stringify({ format: FORMAT, ...state, snapshots }, null, 2)}\n`;
}

/** Fault `data-corrupt`, naming the place. */
export function controlStateFromText(text: string, file: string): ControlState {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new Fault("data-corrupt", `read ${file}: ${(error as Error).message}`, {}, error);
  }
  const state = object(json, file);
  if (state.format !== FORMAT) {
    throw new Fault(
      "data-corrupt",
      `read ${file}: format ${JSON.stringify(state.format)}, this version reads ${FORMAT}`,
    );
  }
  const retired = strings(state.retired, `${file}: retired`);
  return {
    mesh: string(state.mesh, `${file}: mesh`),
    shards: number(state.shards, `${file}: shards`),
    seeded: strings(state.seeded, `${file}: seeded`),
    snapshots: array(state.snapshots, `${file}: snapshots`).map((r, i) =>
      recordFromJson(r, `${file}: snapshots[${i}]`),
    ),
    fromManifest: Object.fromEntries(
      Object.entries(object(state.fromManifest, `${file}: fromManifest`)).map(([id, bindings]) => [
        id,
        bindingsFromJson(bindings, `${file}: fromManifest.${id}`),
      ]),
    ),
    // A file that was written before shards could move has none of these.
    placements: array(state.placements ?? [], `${file}: placements`).map((p, i) =>
      placementFromJson(p, `${file}: placements[${i}]`),
    ),
    placementsFromManifest: array(state.placementsFromManifest ?? [], `${file}: placementsFromManifest`).map((p, i) =>
      strings(p, `${file}: placementsFromManifest[${i}]`),
    ),
    quarantined: array(state.quarantined ?? [], `${file}: quarantined`).map((q, i) =>
      quarantineFromJson(q, `${file}: quarantined[${i}]`),
    ),
    retired,
    // A file that was written before reasons were kept has none of these.
    retirements:
      state.retirements === undefined
        ? newestRetired(retired.slice(-RETIREMENTS_KEPT).map((id) => ({ id, retirement: undefined })))
        : array(state.retirements, `${file}: retirements`).map((r, i) =>
            retiredFromJson(r, `${file}: retirements[${i}]`),
          ),
    lastDueMs: number(state.lastDueMs, `${file}: lastDueMs`),
  };
}

function recordFromJson(value: unknown, path: string): SnapshotRecord {
  const record = object(value, path);
  return {
    id: string(record.id, `${path}.id`),
    asOfMs: optional(record.asOfMs, `${path}.asOfMs`, number),
    allowInexactAsOf: boolean(record.allowInexactAsOf, `${path}.allowInexactAsOf`),
    cut: optional(record.cut, `${path}.cut`, fixedCutFromJson),
    bindings: bindingsFromJson(record.bindings, `${path}.bindings`),
    pinned: boolean(record.pinned, `${path}.pinned`),
    retiring: boolean(record.retiring, `${path}.retiring`),
    retirement: optional(record.retirement, `${path}.retirement`, retirementFromJson),
    doomed: optional(record.doomed, `${path}.doomed`, boolean),
    scheduled: boolean(record.scheduled, `${path}.scheduled`),
    createdAtMs: number(record.createdAtMs, `${path}.createdAtMs`),
  };
}

const REASONS: ReadonlySet<string> = new Set<RetireReason>(["Person", "Keep", "KeepFor"]);

function retirementFromJson(value: unknown, path: string): Retirement {
  const retirement = object(value, path);
  const why = string(retirement.why, `${path}.why`);
  if (!REASONS.has(why)) throw new Fault("data-corrupt", `read ${path}.why: there is no reason "${why}"`);
  return { atMs: number(retirement.atMs, `${path}.atMs`), why: why as RetireReason };
}

function retiredFromJson(value: unknown, path: string): RetiredSnapshot {
  const retired = object(value, path);
  return {
    id: string(retired.id, `${path}.id`),
    retirement: optional(retired.retirement, `${path}.retirement`, retirementFromJson),
  };
}

const PHASES: ReadonlySet<string> = new Set<PlacementPhase>(["Placed", "Joining", "Leaving", "Removing"]);

function placementFromJson(value: unknown, path: string): Placement {
  const placement = object(value, path);
  const phase = string(placement.phase, `${path}.phase`);
  if (!PHASES.has(phase)) throw new Fault("data-corrupt", `read ${path}.phase: there is no phase "${phase}"`);
  return {
    shard: number(placement.shard, `${path}.shard`),
    node: string(placement.node, `${path}.node`),
    phase: phase as PlacementPhase,
  };
}

function quarantineFromJson(value: unknown, path: string): Quarantine {
  const quarantine = object(value, path);
  return {
    shard: number(quarantine.shard, `${path}.shard`),
    node: string(quarantine.node, `${path}.node`),
    snapshot: string(quarantine.snapshot, `${path}.snapshot`),
    stateDigest: string(quarantine.stateDigest, `${path}.stateDigest`),
    expected: string(quarantine.expected, `${path}.expected`),
    tables: strings(quarantine.tables, `${path}.tables`),
    sinceMs: number(quarantine.sinceMs, `${path}.sinceMs`),
    rebuilt: boolean(quarantine.rebuilt, `${path}.rebuilt`),
  };
}

function bindingsFromJson(value: unknown, path: string): readonly BindingSpec[] {
  return array(value, path).map((item, i) => {
    const binding = object(item, `${path}[${i}]`);
    const version = serviceVersionName(string(binding.version, `${path}[${i}].version`));
    if (version === undefined) {
      throw new Fault("data-corrupt", `read ${path}[${i}].version: ${binding.version} is not ${SERVICE_VERSION_RULE}`);
    }
    return { service: string(binding.service, `${path}[${i}].service`), version };
  });
}

function strings(value: unknown, path: string): readonly string[] {
  return array(value, path).map((item, i) => string(item, `${path}[${i}]`));
}
