import { cutContains } from "../mesh/cut.ts";
import type { LatestFloor } from "./latest-floor.ts";
import { sameCut } from "./mesh-facts.ts";
import type { SnapshotRecord } from "./snapshot-record.ts";

export interface LatestChoice {
  readonly latest: readonly { readonly service: string; readonly snapshot: string }[];
  readonly floors: readonly LatestFloor[];
}

/**
 * What `latest` means for each service: of the snapshots that serve it, the one whose cut contains the others'. It only
 * moves to a cut that contains the floor, the greatest it has ever meant, even if that snapshot is retired since: a
 * client that asks for `latest` twice never sees records vanish. With nothing at or above the floor it means nothing.
 */
export function latestSnapshots(
  serving: ReadonlyMap<string, readonly SnapshotRecord[]>,
  current: ReadonlyMap<string, string>,
  floors: readonly LatestFloor[],
): LatestChoice {
  const latest: { service: string; snapshot: string }[] = [];
  const next = new Map(floors.map((floor) => [floor.service, floor]));
  for (const service of [...serving.keys()].sort()) {
    const floor = next.get(service);
    const eligible = (serving.get(service) ?? []).filter(
      (record) => record.cut !== undefined && (floor === undefined || cutContains(record.cut.positions, floor.cut)),
    );
    const chosen = greatest(eligible, current.get(service));
    if (chosen?.cut === undefined) continue;
    latest.push({ service, snapshot: chosen.id });
    next.set(service, { service, cut: chosen.cut.positions });
  }
  const byService = [...next.values()].sort((a, b) => (a.service < b.service ? -1 : 1));
  return { latest, floors: byService };
}

/** Of those that no other contains, the current one, else the newest. */
function greatest(records: readonly SnapshotRecord[], current: string | undefined): SnapshotRecord | undefined {
  const cutOf = (record: SnapshotRecord) => record.cut?.positions ?? [];
  const tops = records.filter(
    (record) => !records.some((r) => cutContains(cutOf(r), cutOf(record)) && !sameCut(cutOf(r), cutOf(record))),
  );
  const byAge = [...tops].sort((a, b) => a.createdAtMs - b.createdAtMs || (a.id < b.id ? -1 : 1));
  return tops.find((record) => record.id === current) ?? byAge.at(-1);
}
