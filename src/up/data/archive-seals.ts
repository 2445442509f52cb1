/**
 * The seals in the archive, and how one is made: from the manifests that the nodes have put there, by the digests that
 * the nodes named.
 *
 * The route table names each seal by its digest, and a gateway takes no table with a seal of another one. So a seal is
 * believed only when it is what the table names, or what was made here to replace a damaged one; any other content
 * counts as none, and the snapshot is sealed anew before it can keep a gateway from all the others.
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { create, fromJsonString } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { Fault } from "../../fault/fault.ts";
import { faultFromUnknown } from "../../fault/fault-from-unknown.ts";
import type { Action, Replica } from "../../lifecycle/action.ts";
import type { ObservedSeal } from "../../lifecycle/observed-mesh.ts";
import { cutOf } from "../../mesh/cut.ts";
import { sha256Of } from "../../process/file-digest.ts";
import type { LineLog } from "../../process/log-line.ts";
import { readSeal, removeSeal, writeSeal } from "../../seal/seal-file.ts";
import { type FrozenReplica, sealOf } from "../../seal/seal-of.ts";
import { CutSchema, type Seal, ShardManifestSchema } from "../../wire/generated/skynetes/v1/seal_pb.ts";
import type { RouteTable } from "../../wire/generated/skynetes/v1/table_pb.ts";

const SEAL_SUFFIX = ".seal.json";

export class ArchiveSeals {
  readonly #archive: string;
  readonly #mesh: { readonly name: string; readonly shards: number };
  readonly #report: LineLog;
  /** Seals never change, so each is parsed once. As many as there are seals in the archive; the next to check first. */
  readonly #known = new Map<string, ObservedSeal>();
  readonly #unreadable = new Set<string>();
  /** Digests of the seals made here: the table names them only later. */
  readonly #made = new Map<string, string>();
  /** What seals said that were damaged while they were known. */
  readonly #former = new Map<string, ObservedSeal>();

  constructor(archive: string, mesh: { readonly name: string; readonly shards: number }, report: LineLog) {
    this.#archive = archive;
    this.#mesh = mesh;
    this.#report = report;
  }

  /**
   * A damaged seal is told once and counts as none: its snapshot is sealed anew. `table` is the one last published;
   * what it does not name yet is believed as it stands.
   */
  async list(table: RouteTable | undefined): Promise<readonly ObservedSeal[]> {
    const ids = await this.#ids();
    for (const known of this.#known.keys()) if (!ids.includes(known)) this.#known.delete(known);
    await this.#checkNext();
    const named = new Map((table?.snapshots ?? []).map(({ id, sealSha256 }) => [id, sealSha256]));
    for (const id of ids) {
      if (this.#known.has(id)) continue;
      try {
        const observed = await this.#read(id, named.get(id));
        if (observed !== undefined) this.#known.set(id, observed);
        this.#unreadable.delete(id);
      } catch (error) {
        this.#tell(id, error);
      }
    }
    return [...this.#known.values()];
  }

  /** Seals last for years and disks do not: at every look one of them is read again, each in its turn. */
  async #checkNext(): Promise<void> {
    const [next] = this.#known;
    if (next === undefined) return;
    const [id, known] = next;
    this.#known.delete(id);
    try {
      if ((await readSeal(this.#archive, id, known.sha256)) !== undefined) this.#known.set(id, known);
    } catch (error) {
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
    this.#checkSame(seal);
    this.#made.set(snapshot, await writeSeal(this.#archive, seal));
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
    await removeSeal(this.#archive, snapshot);
  }

  async #ids(): Promise<readonly string[]> {
    try {
      const names = await readdir(join(this.#archive, "snapshots"));
      return names
        .filter((name) => name.endsWith(SEAL_SUFFIX))
        .map((name) => name.slice(0, -SEAL_SUFFIX.length))
        .sort();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
      throw error;
    }
  }

  async #read(id: string, named: string | undefined): Promise<ObservedSeal | undefined> {
    const found = await readSeal(this.#archive, id);
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

  async #replica(snapshot: string, { shard, node, manifestSha256 }: Replica): Promise<FrozenReplica> {
    const path = join(this.#archive, "shards", String(shard), snapshot, `${node}.manifest.json`);
    const text = await readFile(path, "utf8");
    const sha256 = sha256Of(text);
    if (sha256 !== manifestSha256) {
      throw new Fault("data-corrupt", `seal "${snapshot}": sha-256 of ${path} is ${sha256}, not ${manifestSha256}`, {
        shard,
      });
    }
    return { node, manifest: fromJsonString(ShardManifestSchema, text), manifestSha256 };
  }
}
