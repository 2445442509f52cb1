/**
 * Where things are in an archive; paths are relative to it.
 *
 *     objects/<sha256>                                           segments, by their content
 *     shards/<shard>/<snapshot>/<node>.<epoch>.manifest.json     what a replica has frozen
 *     snapshots/<snapshot>.seal.json                             what makes a snapshot of them
 *     epochs/<shard>/<node>/<epoch>.<owner>                      who writes for a replica
 *     collector/marks.json                                       what nobody names, and since when
 */
export const OBJECTS = "objects";
export const SHARDS = "shards";
export const SEALS = "snapshots";
export const EPOCHS = "epochs";
export const MARKS = "collector/marks.json";
/** Behind the name of an object that is set aside while it is found out whether anybody names it. */
export const DOOMED = ".doomed";

const SEAL_SUFFIX = ".seal.json";
const MANIFEST = /^([^.]+)(?:\.(\d{1,18}))?\.manifest\.json$/;

/** Names one replica's manifest. */
export interface ManifestName {
  readonly node: string;
  /** 0: from before there were epochs. */
  readonly epoch: bigint;
}

export function objectPath(sha256: string): string {
  return `${OBJECTS}/${sha256}`;
}

export function manifestDirectory(shard: number, snapshot: string): string {
  return `${SHARDS}/${shard}/${snapshot}`;
}

export function manifestFile({ node, epoch }: ManifestName): string {
  return epoch === 0n ? `${node}.manifest.json` : `${node}.${epoch}.manifest.json`;
}

/** `undefined`: the file is something else. */
export function manifestName(file: string): ManifestName | undefined {
  const [, node, epoch] = MANIFEST.exec(file) ?? [];
  return node === undefined ? undefined : { node, epoch: BigInt(epoch ?? 0) };
}

/** Those of a directory, by node and then the newest writer's first. */
export function manifestNames(files: readonly string[]): ManifestName[] {
  return files
    .flatMap((file) => manifestName(file) ?? [])
    .sort((a, b) => (a.node < b.node ? -1 : a.node > b.node ? 1 : a.epoch > b.epoch ? -1 : 1));
}

export function sealFile(snapshot: string): string {
  return `${SEALS}/${snapshot}${SEAL_SUFFIX}`;
}

/** The snapshot that a file among the seals is of; `undefined`: it is something else. */
export function sealedSnapshot(file: string): string | undefined {
  return file.endsWith(SEAL_SUFFIX) ? file.slice(0, -SEAL_SUFFIX.length) : undefined;
}

export function epochDirectory(shard: number, node: string): string {
  return `${EPOCHS}/${shard}/${node}`;
}
