/**
 * The seals in the archive, and how one is made: from the manifests that the nodes have put there, by the digests that
 * the nodes named.
 *
 * The route table names each seal by its digest, and a gateway takes no table with a seal of another one. So a seal is
 * believed only when it is what the table names, or what was made here to replace a damaged one; any other content
 * counts as none, and the snapshot is sealed anew before it can keep a gateway from all the others.
 */
import { create, fromJsonString } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { ArchiveFiles } from "../../archive/archive-files.ts";
import { manifestDirectory, manifestFile, manifestNames, SEALS, sealedSnapshot } from "../../archive/archive-layout.ts";
import { Fault } from "../../fault/fault.ts";
import { faultFromUnknown } from "../../fault/fault-from-unknown.ts";
import type { Action, Replica } from "../../lifecycle/action.ts";
import type { ObservedSeal } from "../../lifecycle/observed-mesh.ts";
import { cutOf } from "../../mesh/cut.ts";
import { crashPoint } from "../../process/crash-point.ts";
import { sha256Of } from "../../process/file-digest.ts";
import type { LineLog } from "../../process/log-line.ts";
import { readSeal, removeSeal, writeSeal } from "../../seal/seal-file.ts";
import { type FrozenReplica, sealOf } from "../../seal/seal-of.ts";
import { CutSchema, type Seal, ShardManifestSchema } from "../../wire/generated/skynetes/v1/seal_pb.ts";
import type { RouteTable } from "../../wire/generated/skynetes/v1/table_pb.ts";

export class ArchiveSeals {
  readonly #files: ArchiveFiles;
  readonly #mesh: { readonly name: string; readonly shards: number };
  readonly #report: LineLog;
  /** Seals never change, so each is parsed once. As many as there are seals in the archive; the next to check first. */
  readonly #known = new Map<string, ObservedSeal>();
  readonly #unreadable = new Set<string>();
  /** The archive was listed once: until then nothing is known of it. */
  #isListed = false;
  /** Why the archive could not be used at the last look; told when it begins and when it ends. */
  #away: string | undefined;
  /** Digests of the seals made here: the table names them only later. */
  readonly #made = new Map<string, string>();
  /** What seals said that were damaged while they were known. */
  readonly #former = new Map<string, ObservedSeal>();

  constructor(files: ArchiveFiles, mesh: { readonly name: string; readonly shards: number }, report: LineLog) {
    this.#files = files;
    this.#mesh = mesh;
    this.#report = report;
  }

  /**
   * A damaged seal is told once and counts as none: its snapshot is sealed anew. `table` is the one last published;
   * what it does not name yet is believed as it stands. While the archive cannot be used, what was known stays known:
   * seals never change. Fault `archive-unavailable` when it never could.
   */
  async list(table: RouteTable | undefined): Promise<readonly ObservedSeal[]> {
    try {
      await this.#look(table);
      if (this.#away !== undefined) this.#report.line("info", "the archive can be used again");
      this.#away = undefined;
      this.#isListed = true;
    } catch (error) {
      if (!isAway(error) || !this.#isListed) throw error;
      if (this.#away === undefined) this.#report.line("error", error.message);
      this.#away = error.message;
    }
    return [...this.#known.values()];
  }

  async #look(table: RouteTable | undefined): Promise<void> {
    const ids = await this.#ids();
    const there = new Set(ids);
    for (const known of this.#known.keys()) if (!there.has(known)) this.#known.delete(known);
    await this.#checkNext();
    const named = new Map((table?.snapshots ?? []).map(({ id, sealSha256 }) => [id, sealSha256]));
    for (const id of ids) {
      if (this.#known.has(id)) continue;
      try {
        const observed = await this.#read(id, named.get(id));
        if (observed !== undefined) this.#known.set(id, observed);
        this.#unreadable.delete(id);
      } catch (error) {
        if (isAway(error)) throw error;
        this.#tell(id, error);
      }
    }
  }

  /** Seals last for years and disks do not: at every look one of them is read again, each in its turn. */
  async #checkNext(): Promise<void> {
    const [next] = this.#known;
    if (next === undefined) return;
    const [id, known] = next;
    try {
      const isThere = (await readSeal(this.#files, id, known.sha256)) !== undefined;
      this.#known.delete(id);
      if (isThere) this.#known.set(id, known);
    } catch (error) {
      if (isAway(error)) throw error;
      this.#known.delete(id);
      this.#former.set(id, known);
      this.#tell(id, error);
    }
  }

  #tell(id: string, error: unknown): void {
    if (!this.#unreadable.has(id)) this.#report.line("error", faultFromUnknown(error, `read seal of ${id}`).message);
    this.#unreadable.add(id);
  }

  /** Of a sealed snapshot's shard, as last listed. */
  stateDigest(snapshot: string, shard: number): string | undefined {
    return this.#known.get(snapshot)?.stateDigests[shard];
  }

  async write(action: Action & { kind: "seal" }, asOfMs: number | undefined): Promise<void> {
    const { snapshot, cut } = action;
    const seal = sealOf({
      mesh: this.#mesh.name,
      snapshot,
      shards: this.#mesh.shards,
      cut: create(CutSchema, { positions: [...cut.positions] }),
      createdAtMs: cut.fixedAtMs,
      asOfMs,
      inexactTopics: cut.inexactTopics,
      replicas: await Promise.all(action.replicas.map((replica) => this.#replica(snapshot, replica))),
    });
    crashPoint("replicas-read");
    this.#checkSame(seal);
    this.#made.set(snapshot, await writeSeal(this.#files, seal));
    this.#former.delete(snapshot);
  }

  /** An id means one state for ever. */
  #checkSame({ snapshot, shardSeals }: Seal): void {
    const former = this.#former.get(snapshot) ?? this.#known.get(snapshot);
    const other = shardSeals.find(
      ({ shard, stateDigest }) => former !== undefined && former.stateDigests[shard] !== stateDigest,
    );
    if (other === undefined) return;
    const was = former?.stateDigests[other.shard];
    throw new Fault(
      "data-corrupt",
      `seal "${snapshot}": shard ${other.shard} was sealed with state digest ${was}, its replicas have ${other.stateDigest}`,
      { shard: other.shard },
    );
  }

  async remove(snapshot: string): Promise<void> {
    this.#made.delete(snapshot);
    this.#former.delete(snapshot);
    await removeSeal(this.#files, snapshot);
  }

  async #ids(): Promise<readonly string[]> {
    return (await this.#files.list(SEALS)).flatMap((file) => sealedSnapshot(file) ?? []).sort();
  }

  async #read(id: string, named: string | undefined): Promise<ObservedSeal | undefined> {
    const found = await readSeal(this.#files, id);
    if (found === undefined) return undefined;
    const { seal, sha256 } = found;
    if (named !== undefined && sha256 !== named && sha256 !== this.#made.get(id)) {
      throw new Fault("data-corrupt", `read seal of ${id}: its sha-256 is ${sha256}, the route table names ${named}`);
    }
    return {
      snapshot: id,
      sha256,
      cut: cutOf(
        (seal.cut?.positions ?? []).map(({ topic, topicId, partition, position }) => ({
          topic,
          topicId,
          partition,
          position,
        })),
      ),
      fixedAtMs: seal.createdAt === undefined ? 0 : timestampMs(seal.createdAt),
      inexactTopics: seal.inexactTopics,
      stateDigests: seal.shardSeals.toSorted((a, b) => a.shard - b.shard).map((shard) => shard.stateDigest),
    };
  }

  /** The manifest that the node named, whichever of its writers wrote it. */
  async #replica(snapshot: string, { shard, node, manifestSha256 }: Replica): Promise<FrozenReplica> {
    const directory = manifestDirectory(shard, snapshot);
    const names = manifestNames(await this.#files.list(directory)).filter((name) => name.node === node);
    let found = `${node} has none there`;
    for (const name of names) {
      const path = `${directory}/${manifestFile(name)}`;
      const text = await this.#files.readText(path);
      if (text === undefined) continue;
      const sha256 = sha256Of(text);
      if (sha256 === manifestSha256)
        return { node, manifest: fromJsonString(ShardManifestSchema, text), manifestSha256 };
      found = `sha-256 of ${path} is ${sha256}`;
    }
    throw new Fault("data-corrupt", `seal "${snapshot}": ${found}, not ${manifestSha256}`, { shard });
  }
}

function isAway(error: unknown): error is Fault {
  return error instanceof Fault && error.id === "archive-unavailable";
}
