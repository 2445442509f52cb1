import { join } from "node:path";
import { Fault } from "../fault/fault.ts";
import { faultFromUnknown } from "../fault/fault-from-unknown.ts";
import { type Cut, cutOf, cutText, positionIn } from "../mesh/cut.ts";
import type { Archive, ArchiveKey } from "./archive/archive.ts";
import { archiveShard } from "./archive/archive-shard.ts";
import { repairSegments, restoreSnapshot } from "./archive/restore-snapshot.ts";
import { type FrozenShard, manifestText } from "./frozen-shard.ts";
import { type Holding, holdingsOf } from "./holdings.ts";
import { INGEST_LIMITS } from "./ingest/ingest-limits.ts";
import { ingestPartition } from "./ingest/ingest-partition.ts";
import { IngestStatus } from "./ingest/ingest-status.ts";
import { recordDecoder } from "./ingest/record-decoder.ts";
import { type NodeConfig, STORE_LIMITS } from "./node-config.ts";
import { OneAtATime } from "./one-at-a-time.ts";
import { freezeShard } from "./snapshot/freeze-shard.ts";
import { cutFromWire, sameCut } from "./snapshot/manifest-cut.ts";
import { ShardDirectory } from "./snapshot/shard-directory.ts";
import { DuckDbShardStore } from "./store/duckdb-shard-store.ts";
import type { RecordPlace, RejectedRecord, ShardStore } from "./store/shard-store.ts";

/** Freezes and drops that may wait for one another. */
const CHANGES_WAITING_MAX = 64;

/** One shard on this node: its store, its ingest, its snapshots. */
export class HostedShard {
  readonly shard: number;
  readonly status: IngestStatus;
  readonly #config: NodeConfig;
  readonly #archive: Archive;
  readonly #directory: ShardDirectory;
  readonly #store: ShardStore;
  readonly #holdings: readonly Holding[];
  readonly #frozen: Map<string, FrozenShard>;
  readonly #changes: OneAtATime;
  /** Snapshots whose files are damaged beyond repair; a freeze at the same cut makes them anew. */
  readonly #damaged: Map<string, Fault>;
  readonly #horizon: Cut;
  #loops: Promise<unknown> = Promise.resolve();

  private constructor(config: NodeConfig, shard: number, parts: Parts) {
    this.shard = shard;
    this.#config = config;
    this.#archive = parts.archive;
    this.#directory = parts.directory;
    this.#store = parts.store;
    this.#holdings = parts.holdings;
    this.#frozen = parts.snapshots.frozen;
    this.#damaged = parts.snapshots.damaged;
    this.#horizon = parts.horizon;
    this.status = parts.status;
    this.#changes = new OneAtATime(`change the snapshots of shard ${shard}`, CHANGES_WAITING_MAX);
  }

  static async open(config: NodeConfig, shard: number, archive: Archive): Promise<HostedShard> {
    const holdings = holdingsOf(shard, config.tables, config.topics);
    const directory = await ShardDirectory.open(join(config.dataDirectory, `shard-${shard}`));
    const store = await DuckDbShardStore.open(directory.database, config.tables, {
      ...STORE_LIMITS,
      ...config.store,
      temporaryDirectory: directory.temporaryDirectory,
    });
    try {
      const snapshots = await loadSnapshots(config, shard, directory, archive);
      const status = new IngestStatus(await store.position(), await store.rejected());
      const horizon = await store.horizon();
      return new HostedShard(config, shard, { archive, directory, store, holdings, snapshots, status, horizon });
    } catch (error) {
      await store.close();
      throw error;
    }
  }

  /** Ingests until `signal` aborts. */
  start(signal: AbortSignal): void {
    const { log, clock, randomness } = this.#config;
    const limits = { ...INGEST_LIMITS, ...this.#config.ingest };
    const [shard, store, watcher] = [this.shard, this.#store, this.status];
    const loops = this.#holdings.map(({ table, topic, partition, record }) => {
      const decode = recordDecoder(table, record);
      return ingestPartition(
        { shard, log, store, topic, partition, decode, limits, clock, randomness, watcher },
        signal,
      );
    });
    this.#loops = Promise.allSettled(loops);
  }

  get horizon(): Cut {
    return this.status.horizon(this.#horizon);
  }

  get frozen(): ReadonlyMap<string, FrozenShard> {
    return this.#frozen;
  }

  get alarm(): string {
    const damage = [...this.#damaged].map(([snapshot, fault]) => `snapshot "${snapshot}": ${fault.message}`);
    return [this.status.alarm, ...damage].filter((text) => text !== "").join("; ");
  }

  /** At most `limit` of the rejects behind `after`, fewer when they are large. */
  rejects(after: RecordPlace | undefined, limit: number): Promise<RejectedRecord[]> {
    return this.#store.rejects(after, limit);
  }

  /** Frozen and archived when it returns; frozen already at this cut: the same. Fault `snapshot-conflict`: at another. */
  freeze(snapshot: string, wished: Cut): Promise<FrozenShard> {
    const cut = this.#cutOfHoldings(snapshot, wished);
    return this.#changes.run(async () => {
      const frozen = (await this.#there(snapshot, cut)) ?? (await this.#anew(snapshot, cut));
      this.#frozen.set(snapshot, frozen);
      this.#damaged.delete(snapshot);
      return frozen;
    });
  }

  /** Frozen earlier and archived now. `undefined` when it is not, or is damaged beyond repair. */
  async #there(snapshot: string, cut: Cut): Promise<FrozenShard | undefined> {
    const there = this.#frozen.get(snapshot) ?? (await this.#restore(snapshot));
    if (there === undefined) return undefined;
    const at = cutFromWire(there.manifest.cut);
    if (!sameCut(at, cut)) {
      throw new Fault(
        "snapshot-conflict",
        `freeze shard ${this.shard} as "${snapshot}" at ${cutText(cut)}: it is frozen at ${cutText(at)}`,
      );
    }
    try {
      await archiveShard(this.#archive, this.#key(snapshot), there, this.#directory);
      return there;
    } catch (error) {
      if (!(error instanceof Fault) || error.id !== "data-corrupt") throw error;
      // What the archive lacks and is damaged here is in the store still.
      this.#giveUp(snapshot, error);
      return undefined;
    }
  }

  async #anew(snapshot: string, cut: Cut): Promise<FrozenShard> {
    const { mesh, tables } = this.#config;
    const earlier = [...this.#frozen.values()].map(({ manifest }) => manifest);
    const [shard, store, directory] = [this.shard, this.#store, this.#directory];
    const frozen = await freezeShard({ mesh, shard, snapshot, cut, tables, earlier, store, directory });
    await archiveShard(this.#archive, this.#key(snapshot), frozen, directory);
    return frozen;
  }

  /** No longer said to be frozen, so that it is frozen again. */
  #giveUp(snapshot: string, damage: Fault): void {
    this.#frozen.delete(snapshot);
    this.#damaged.set(snapshot, damage);
  }

  /** What this node archived before it lost its disk; made anew from the log when the archive is no good either. */
  async #restore(snapshot: string): Promise<FrozenShard | undefined> {
    try {
      return await restoreSnapshot(this.#archive, this.#key(snapshot), this.#directory);
    } catch (error) {
      if (error instanceof Fault && error.id === "data-corrupt") return undefined;
      throw error;
    }
  }

  /**
   * Where the snapshot's files are, after every byte of them was compared with its digest and what was damaged was
   * fetched from the archive. Faults: `unknown-snapshot`; `data-corrupt`, naming the file, when it cannot be mended.
   */
  verified(snapshot: string): Promise<{ readonly directory: string; readonly frozen: FrozenShard }> {
    return this.#changes.run(async () => {
      const frozen = this.#frozen.get(snapshot);
      if (frozen === undefined) {
        const damage = this.#damaged.get(snapshot);
        if (damage !== undefined) throw damage;
        throw new Fault("unknown-snapshot", `shard ${this.shard} is not frozen as "${snapshot}" on this node`);
      }
      await this.#repair(snapshot, frozen);
      if (frozen.manifest.views !== undefined) {
        await this.#store.views?.restore(snapshot, cutFromWire(frozen.manifest.cut));
      }
      const onDisk = await this.#directory.readManifest(snapshot).catch(() => undefined);
      if (onDisk?.manifestSha256 !== frozen.manifestSha256) {
        await this.#directory.writeManifest(snapshot, manifestText(frozen.manifest));
      }
      return { directory: this.#directory.path, frozen };
    });
  }

  async #repair(snapshot: string, frozen: FrozenShard): Promise<void> {
    try {
      await repairSegments(this.#archive, this.#directory, frozen, "content");
    } catch (error) {
      if (error instanceof Fault && error.id === "data-corrupt") this.#giveUp(snapshot, error);
      throw error;
    }
  }

  /** Removes the snapshot here and this node's copy in the archive. The archive first: what is dropped never comes back. */
  drop(snapshot: string): Promise<void> {
    return this.#changes.run(async () => {
      await this.#archive.dropManifest(this.#key(snapshot));
      await this.#directory.removeSnapshot(snapshot);
      await this.#store.views?.drop(snapshot);
      this.#frozen.delete(snapshot);
      this.#damaged.delete(snapshot);
      // Files of a damaged snapshot may yet be mended, and which they are is not known.
      if (this.#damaged.size > 0) return;
      await this.#directory.removeOrphans([...this.#frozen.values()].map(({ manifest }) => manifest));
    });
  }

  /** After its signal has aborted. */
  async close(): Promise<void> {
    await this.#loops;
    await this.#changes.run(() => this.#store.close());
  }

  #key(snapshot: string): ArchiveKey {
    return { shard: this.shard, snapshot, node: this.#config.node };
  }

  #cutOfHoldings(snapshot: string, wished: Cut): Cut {
    return cutOf(
      this.#holdings.map(({ topic, partition }) => {
        const position = positionIn(wished, topic, partition);
        if (position !== undefined) return position;
        throw new Fault(
          "invalid-request",
          `freeze shard ${this.shard} as "${snapshot}": the cut has no position of ${topic}/${partition}`,
        );
      }),
    );
  }
}

interface Parts {
  readonly archive: Archive;
  readonly directory: ShardDirectory;
  readonly store: ShardStore;
  readonly holdings: readonly Holding[];
  readonly snapshots: LoadedSnapshots;
  readonly status: IngestStatus;
  readonly horizon: Cut;
}

interface LoadedSnapshots {
  readonly frozen: Map<string, FrozenShard>;
  readonly damaged: Map<string, Fault>;
}

/**
 * The snapshots that lie here, each whole and archived: missing files and files of another size are fetched from the
 * archive now, every byte is compared before a service may load them.
 */
async function loadSnapshots(
  config: NodeConfig,
  shard: number,
  directory: ShardDirectory,
  archive: Archive,
): Promise<LoadedSnapshots> {
  const frozen = new Map<string, FrozenShard>();
  const damaged = new Map<string, Fault>();
  for (const snapshot of await directory.snapshots()) {
    const key = { shard, snapshot, node: config.node };
    try {
      const found = (await readOwn(config, directory, key)) ?? (await restoreSnapshot(archive, key, directory));
      // A directory without manifest is a freeze that did not come to its end.
      if (found === undefined) await directory.removeSnapshot(snapshot);
      else {
        await repairSegments(archive, directory, found, "size");
        // It may have died between the manifest here and the one in the archive, and frozen means archived.
        await archiveShard(archive, key, found, directory);
        frozen.set(snapshot, found);
      }
    } catch (error) {
      damaged.set(snapshot, faultFromUnknown(error, `load snapshot "${snapshot}" of shard ${shard}`));
    }
  }
  if (damaged.size === 0) await directory.removeOrphans([...frozen.values()].map(({ manifest }) => manifest));
  return { frozen, damaged };
}

/** `undefined` when the manifest is not there, cannot be read, or is of something else. */
async function readOwn(
  config: NodeConfig,
  directory: ShardDirectory,
  key: ArchiveKey,
): Promise<FrozenShard | undefined> {
  const found = await directory.readManifest(key.snapshot).catch((error: unknown) => {
    if (error instanceof Fault) return undefined;
    throw error;
  });
  const { mesh, shard, snapshot } = found?.manifest ?? {};
  return mesh === config.mesh && shard === key.shard && snapshot === key.snapshot ? found : undefined;
}
