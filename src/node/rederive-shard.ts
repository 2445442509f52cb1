import { rm } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "../fault/fault.ts";
import { type Cut, positionIn } from "../mesh/cut.ts";
import { crashPoint } from "../process/crash-point.ts";
import type { FrozenShard } from "./frozen-shard.ts";
import { cutOfHoldings, holdingsOf } from "./holdings.ts";
import type { ByteBudget } from "./ingest/byte-budget.ts";
import { INGEST_LIMITS } from "./ingest/ingest-limits.ts";
import { type IngestWatcher, ingestPartition } from "./ingest/ingest-partition.ts";
import { recordDecoder } from "./ingest/record-decoder.ts";
import { type NodeConfig, STORE_LIMITS } from "./node-config.ts";
import { freezeShard } from "./snapshot/freeze-shard.ts";
import { ShardDirectory } from "./snapshot/shard-directory.ts";
import { DuckDbShardStore } from "./store/duckdb-shard-store.ts";

/** Where the store for this is; what a process that died has left of it goes at the next time. */
export function rederiveDirectory(config: NodeConfig, shard: number): string {
  return join(config.dataDirectory, `rederive-${shard}`);
}

/**
 * The shard's state at a cut, from the log and nothing else: what replicas that differ are held against. A store of its
 * own is filled from the beginning of the log to the cut, frozen, and thrown away; the shard's store is not looked at.
 * Costs what a replay costs. Faults: those that stop ingest (`log-truncated` where the log has lost its beginning);
 * whatever `signal` was aborted with.
 */
export async function rederiveShard(
  config: NodeConfig,
  shard: number,
  wished: Cut,
  signal: AbortSignal,
  budget: ByteBudget,
): Promise<FrozenShard> {
  const holdings = holdingsOf(shard, config.tables, config.topics);
  const cut = cutOfHoldings(holdings, wished, `rederive shard ${shard}`);
  const path = rederiveDirectory(config, shard);
  await rm(path, { recursive: true, force: true });
  const directory = await ShardDirectory.open(path);
  const store = await DuckDbShardStore.open(directory.database, config.tables, {
    ...STORE_LIMITS,
    ...config.store,
    temporaryDirectory: directory.temporaryDirectory,
  });
  const ended = new AbortController();
  const either = AbortSignal.any([signal, ended.signal]);
  const limits = { ...INGEST_LIMITS, ...config.ingest };
  const { log, clock, randomness, mesh, tables } = config;
  const reached = reaching(cut, signal);
  const loops = holdings.map(({ table, topic, partition, spec }) => {
    const { partitions } = spec;
    const source = { shard, log, store, topic, partitions, partition, limits, clock, randomness, budget };
    return ingestPartition({ ...source, decode: recordDecoder(table, spec), watcher: reached.watcher }, either);
  });
  try {
    await reached.all;
    crashPoint("rederive-replayed");
    return await freezeShard({ mesh, shard, snapshot: "rederived", cut, tables, earlier: [], store, directory });
  } finally {
    ended.abort(new DOMException("the shard is derived", "AbortError"));
    await Promise.allSettled(loops);
    await store.close();
    await rm(path, { recursive: true, force: true });
  }
}

/** Resolves when every partition of the cut is committed up to it. */
function reaching(cut: Cut, signal: AbortSignal): { readonly watcher: IngestWatcher; readonly all: Promise<void> } {
  const missing = new Set(cut.filter(({ position }) => position > 0n).map((p) => `${p.topic}/${p.partition}`));
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const watcher: IngestWatcher = {
    committed({ topic, partition, position }) {
      const wanted = positionIn(cut, topic, partition);
      if (wanted !== undefined && position >= wanted.position) missing.delete(`${topic}/${partition}`);
      if (missing.size === 0) resolve();
    },
    read: () => {},
    stopped: (_topic, _partition, fault) => reject(fault),
    troubled: () => {},
  };
  if (missing.size === 0) resolve();
  const stop = () => reject(new Fault("cancelled", "rederive: nobody waits for it any more", {}, signal.reason));
  if (signal.aborted) stop();
  signal.addEventListener("abort", stop, { once: true });
  // Both may happen before anybody awaits.
  promise.catch(() => {});
  return { watcher, all: promise };
}
