/** Collects from time to time what nobody names in the archive; `src/archive/collect-orphans.ts` says what is safe. */
import { fromJsonString } from "@bufbuild/protobuf";
import type { ArchiveFiles } from "../../archive/archive-files.ts";
import { SEALS, sealedSnapshot } from "../../archive/archive-layout.ts";
import { type Collected, collectOrphans } from "../../archive/collect-orphans.ts";
import { Fault } from "../../fault/fault.ts";
import { faultFromUnknown } from "../../fault/fault-from-unknown.ts";
import { type Clock, sleep } from "../../process/clock.ts";
import type { LineLog } from "../../process/log-line.ts";
import { segmentsOf } from "../../seal/segment-files.ts";
import { ShardManifestSchema } from "../../wire/generated/skynetes/v1/seal_pb.ts";
import type { ControlState } from "../control/control-state.ts";
import type { ControlStore } from "../control/control-store.ts";

/** A look reads every manifest. */
const LOOK_EVERY_MS = 10 * 60_000;
/** Longer than a node takes from the first object of a snapshot to its manifest. */
export const ORPHAN_GRACE_MS = 60 * 60_000;

export interface ArchiveKeeperParts {
  readonly files: ArchiveFiles;
  readonly store: Pick<ControlStore, "state">;
  readonly clock: Clock;
  readonly report: LineLog;
}

/** Until `signal` aborts. An archive that cannot be used now is looked at again another time. */
export async function keepArchive(parts: ArchiveKeeperParts, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await sleep(parts.clock, LOOK_EVERY_MS, signal).catch(() => {});
    if (signal.aborted) return;
    try {
      await lookOnce(parts);
    } catch (error) {
      parts.report.line("warn", faultFromUnknown(error, "collect what is left over in the archive").message);
    }
  }
}

async function lookOnce({ files, store, clock, report }: ArchiveKeeperParts): Promise<void> {
  const { deleted } = await collectOnce({ files, state: store.state, nowMs: clock.now() });
  if (deleted.length > 0)
    report.line("info", `${deleted.length} files that nobody names were taken out of the archive`);
}

export interface CollectOnceRequest {
  readonly files: ArchiveFiles;
  readonly state: Pick<ControlState, "snapshots" | "retired">;
  readonly nowMs: number;
  readonly dryRun?: boolean;
}

/** One look. By whoever holds the lock of the data directory: there is one collector at a time. */
export async function collectOnce({ files, state, nowMs, dryRun = false }: CollectOnceRequest): Promise<Collected> {
  const { snapshots, retired } = state;
  // What has a record or a seal is somebody's: a retired snapshot may have taken another's name by mistake.
  const sealed = (await files.list(SEALS)).flatMap((file) => sealedSnapshot(file) ?? []);
  const kept = new Set([...snapshots.map(({ id }) => id), ...sealed]);
  const gone = new Set(retired.filter((id) => !kept.has(id)));
  return collectOrphans({
    files,
    nowMs,
    dryRun,
    graceMs: ORPHAN_GRACE_MS,
    objectsOf,
    isForgotten: (snapshot) => gone.has(snapshot),
  });
}

/** Fault `data-corrupt`, naming the file. */
function objectsOf(text: string, path: string): readonly string[] {
  try {
    return segmentsOf(fromJsonString(ShardManifestSchema, text)).map(({ sha256 }) => sha256);
  } catch (error) {
    throw new Fault("data-corrupt", `read manifest ${path}: ${(error as Error).message}`, {}, error);
  }
}
