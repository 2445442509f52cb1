/**
 * Places where a test may kill the process, as a power cut would. `SKYNETES_CRASH_AT=manifest-renamed` ends it with
 * SIGKILL the first time that point is passed, `manifest-renamed:3` the third time. Unset, a point costs one comparison.
 */
const wish = process.env.SKYNETES_CRASH_AT ?? "";
const [wishedPoint, wishedPass] = wish.split(":");
let passesLeft = wishedPass === undefined ? 1 : Number(wishedPass);

export function crashPoint(name: CrashPoint): void {
  if (name !== wishedPoint) return;
  passesLeft -= 1;
  if (passesLeft === 0) process.kill(process.pid, "SIGKILL");
}

/** In the order in which a record's way passes them. Tests go through the list, so a new point is tested by being here. */
export const CRASH_POINTS = [
  "ingest-rows-appended",
  "ingest-position-inserted",
  "ingest-committed",
  "segment-written",
  "segment-renamed",
  "segments-merged",
  "manifest-synced",
  "manifest-renamed",
  "object-archived",
  "epoch-claimed",
  "manifest-archived",
  "object-fetched",
  "manifest-dropped",
  "snapshot-dropped",
  "rederive-replayed",
  "shard-copies-dropped",
  "shard-set-aside",
] as const;

/** Of the driver that collects in the archive what nobody names. */
export const COLLECTOR_CRASH_POINTS = ["orphans-marked", "orphans-aside", "orphans-deleted"] as const;

/** Of the driver that seals and unseals snapshots. */
export const SEAL_CRASH_POINTS = ["replicas-read", "seal-written", "seal-removed"] as const;

export type CrashPoint =
  | (typeof CRASH_POINTS)[number]
  | (typeof COLLECTOR_CRASH_POINTS)[number]
  | (typeof SEAL_CRASH_POINTS)[number];
