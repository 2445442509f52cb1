/**
 * The seals in the archive, and how one is made: from the manifests that the nodes have put there, by the digests that
 * the nodes named.
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
import { CutSchema, ShardManifestSchema } from "../../wire/generated/skynetes/v1/seal_pb.ts";

const SEAL_SUFFIX = ".seal.json";

export class ArchiveSeals {
  readonly #archive: string;
  readonly #mesh: { readonly name: string; readonly shards: number };
  readonly #report: LineLog;
  /** Seals never change, so each is read once. As many as there are seals in the archive. */
  readonly #known = new Map<string, ObservedSeal>();
  readonly #unreadable = new Set<string>();

  constructor(archive: string, mesh: { readonly name: string; readonly shards: number }, report: LineLog) {
    this.#archive = archive;
    this.#mesh = mesh;
    this.#report = report;
  }

  /** A damaged seal is told once and counts as none: its snapshot cannot be served, and is sealed anew. */
  async list(): Promise<readonly ObservedSeal[]> {
    const ids = await this.#ids();
    for (const known of this.#known.keys()) if (!ids.includes(known)) this.#known.delete(known);
    for (const id of ids) {
      if (this.#known.has(id)) continue;
      try {
        const observed = await this.#read(id);
        if (observed !== undefined) this.#known.set(id, observed);
        this.#unreadable.delete(id);
      } catch (error) {
        if (!this.#unreadable.has(id))
          this.#report.line("error", faultFromUnknown(error, `read seal of ${id}`).message);
        this.#unreadable.add(id);
      }
    }
    return [...this.#known.values()];
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
    await writeSeal(this.#archive, seal);
  }

  async remove(snapshot: string): Promise<void> {
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

  async #read(id: string): Promise<ObservedSeal | undefined> {
    const found = await readSeal(this.#archive, id);
    if (found === undefined) return undefined;
    const { seal, sha256 } = found;
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
