import { join } from "node:path";
import { Fault } from "../fault/fault.ts";
import { type Cut, cutText } from "../mesh/cut.ts";
import { sleep } from "../process/clock.ts";
import type { Archive, ArchiveKey } from "./archive/archive.ts";
import { archiveShard } from "./archive/archive-shard.ts";
import { repairSegments, restoreSnapshot } from "./archive/restore-snapshot.ts";
import { type FrozenShard, manifestText } from "./frozen-shard.ts";
import { cutOfHoldings, type Holding, holdingsOf } from "./holdings.ts";
import type { ByteBudget } from "./ingest/byte-budget.ts";
import { INGEST_LIMITS } from "./ingest/ingest-limits.ts";
import { ingestPartition } from "./ingest/ingest-partition.ts";
import { IngestStatus } from "./ingest/ingest-status.ts";
import { recordDecoder } from "./ingest/record-decoder.ts";
import { type LoadedSnapshots, loadSnapshots } from "./load-snapshots.ts";
import { type NodeConfig, STORE_LIMITS } from "./node-config.ts";
import { OneAtATime } from "./one-at-a-time.ts";
import { freezeShard } from "./snapshot/freeze-shard.ts";
import { cutFromWire, sameCut } from "./snapshot/manifest-cut.ts";
import { ShardDirectory } from "./snapshot/shard-directory.ts";
import { openShardStore } from "./store/open-shard-store.ts";
import type { RecordPlace, RejectedRecord, ShardStore } from "./store/shard-store.ts";

/** Freezes and drops that may wait for one another. */
const CHANGES_WAITING_MAX = 64;
const ARCHIVE_RETRY_MS = 1_000;

export function shardDirectory({ dataDirectory }: NodeConfig, shard: number): string {
  return join(dataDirectory, `shard-${shard}`);
}

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
  /** Whole here, and not known to be in the archive, which could not be used when they were loaded. */
  readonly #unarchived: Set<string>;
  readonly #closing = new AbortController();
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
    this.#unarchived = parts.snapshots.unarchived;
    this.#horizon = parts.horizon;
    this.status = parts.status;
    this.#changes = new OneAtATime(`change the snapshots of shard ${shard}`, CHANGES_WAITING_MAX);
  }

  static async open(config: NodeConfig, shard: number, archive: Archive): Promise<HostedShard> {
    const holdings = holdingsOf(shard, config.tables, config.topics);
    const directory = await ShardDirectory.open(shardDirectory(config, shard));
    const place = {
      ...STORE_LIMITS,
      ...config.store,
      node: config.node,
      shard,
      directory: directory.path,
      temporaryDirectory: directory.temporaryDirectory,
      file: directory.database,
      database: config.database,
    };
    const store = await openShardStore(place, config.tables);
    try {
      const snapshots = await loadSnapshots(config, shard, directory, archive);
      const status = new IngestStatus(await store.position(), await store.rejected(), config.clock);
      const horizon = await store.horizon();
      return new HostedShard(config, shard, { archive, directory, store, holdings, snapshots, status, horizon });
    } catch (error) {
      await store.close();
      throw error;
    }
  }

  /** Ingests until `signal` aborts, or the shard is closed. */
  start(budget: ByteBudget, signal: AbortSignal): void {
    const { log, clock, randomness, ingest } = this.#config;
    const [shard, store, watcher] = [this.shard, this.#store, this.status];
    const limits = { ...INGEST_LIMITS, ...ingest };
    const shared = { shard, store, watcher, log, limits, clock, randomness, budget };
    const either = AbortSignal.any([signal, this.#closing.signal]);
    const loops = this.#holdings.map(({ table, topic, partition, spec }) => {
      const own = { topic, partition, partitions: spec.partitions, decode: recordDecoder(table, spec) };
      return ingestPartition({ ...shared, ...own }, either);
    });
    this.#loops = Promise.allSettled([...loops, this.#archiveRest(either)]);
  }

  /** What was loaded while the archive could not be used. */
  async #archiveRest(signal: AbortSignal): Promise<void> {
    const { clock } = this.#config;
    while (this.#unarchived.size > 0) {
      await sleep(clock, ARCHIVE_RETRY_MS, signal);
      for (const snapshot of this.#unarchived) {
        await this.#changes.run(() => this.#archiveAgain(snapshot)).catch(() => {});
      }
    }
  }

  async #archiveAgain(snapshot: string): Promise<void> {
    const frozen = this.#frozen.get(snapshot);
    try {
      if (frozen !== undefined) await archiveShard(this.#archive, this.#key(snapshot), frozen, this.#directory);
    } catch (error) {
      if (!(error instanceof Fault) || error.id !== "data-corrupt") throw error;
      this.#giveUp(snapshot, error);
    }
    this.#unarchived.delete(snapshot);
  }

  get horizon(): Cut {
    return this.status.horizon(this.#horizon);
  }

  get frozen(): ReadonlyMap<string, FrozenShard> {
    return this.#frozen;
  }

  get alarm(): string {
    const damage = [...this.#damaged].map(([snapshot, fault]) => `snapshot "${snapshot}": ${fault.message}`);
    const fenced = this.#archive.fenced(this.shard) ?? "";
    return [this.status.alarm, ...damage, fenced].filter((text) => text !== "").join("; ");
  }

  /** Ends by itself. */
  get archiveAlarm(): string {
    return this.#archive.trouble() ?? "";
  }

  /** At most `limit` of the rejects behind `after`, fewer when they are large. */
  rejects(after: RecordPlace | undefined, limit: number): Promise<RejectedRecord[]> {
    return this.#store.rejects(after, limit);
  }

  /** Frozen and archived when it returns; frozen already at this cut: the same. Fault `snapshot-conflict`: at another. */
  freeze(snapshot: string, wished: Cut): Promise<FrozenShard> {
    const cut = cutOfHoldings(this.#holdings, wished, `freeze shard ${this.shard} as "${snapshot}"`);
    return this.#changes.run(async () => {
      const frozen = (await this.#there(snapshot, cut)) ?? (await this.#anewOrAdopted(snapshot, cut));
      this.#frozen.set(snapshot, frozen);
      this.#damaged.delete(snapshot);
      return frozen;
    });
  }

  /** Frozen earlier and archived now. `undefined` when it is not, or is damaged beyond repair. */
  async #there(snapshot: string, cut: Cut): Promise<FrozenShard | undefined> {
    const there = this.#frozen.get(snapshot) ?? (await this.#restore(snapshot, "own"));
    if (there === undefined) return undefined;
    this.#checkCut(snapshot, there, cut);
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

  #checkCut(snapshot: string, { manifest }: FrozenShard, cut: Cut): void {
    const at = cutFromWire(manifest.cut);
    if (sameCut(at, cut)) return;
    throw new Fault(
      "snapshot-conflict",
      `freeze shard ${this.shard} as "${snapshot}" at ${cutText(cut)}: it is frozen at ${cutText(at)}`,
    );
  }

  /**
   * From this node's own store, so that replicas prove each other; another node's copy is taken over, every byte of it
   * compared, only where this store does not reach back to the cut.
   */
  async #anewOrAdopted(snapshot: string, cut: Cut): Promise<FrozenShard> {
    try {
      return await this.#anew(snapshot, cut);
    } catch (error) {
      if (!(error instanceof Fault) || error.id !== "cut-below-horizon") throw error;
      const adopted = await this.#restore(snapshot, "any");
      if (adopted === undefined) throw error;
      this.#checkCut(snapshot, adopted, cut);
      await archiveShard(this.#archive, this.#key(snapshot), adopted, this.#directory);
      return adopted;
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

  /** What is archived; `undefined` when that is no good either. */
  async #restore(snapshot: string, whose: "own" | "any"): Promise<FrozenShard | undefined> {
    try {
      return await restoreSnapshot(this.#archive, this.#config.mesh, this.#key(snapshot), this.#directory, whose);
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
      this.#unarchived.delete(snapshot);
      // Files of a damaged snapshot may yet be mended, and which they are is not known.
      if (this.#damaged.size > 0) return;
      await this.#directory.removeOrphans([...this.#frozen.values()].map(({ manifest }) => manifest));
    });
  }

  /** Ends ingest at a batch's end, and then what is under way. */
  async close(): Promise<void> {
    this.#closing.abort(new DOMException("the shard is closing", "AbortError"));
    await this.#loops;
    await this.#changes.run(() => this.#store.close());
  }

  #key(snapshot: string): ArchiveKey {
    return { shard: this.shard, snapshot, node: this.#config.node };
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
