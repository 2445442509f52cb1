/** The workers of a gateway, asked as one. */
import { Fault } from "../../fault/fault.ts";
import { faultFromUnknown } from "../../fault/fault-from-unknown.ts";
import type { SnapshotUse } from "../../wire/generated/skynetes/v1/gateway_admin_pb.ts";
import type { RouteTable } from "../../wire/generated/skynetes/v1/table_pb.ts";
import type { RouteProbeFailure } from "../table/verify-table.ts";
import type { GatewayAdmin, GatewayStatus, WholeGateway } from "../whole-gateway.ts";
import { mergeMetrics } from "./merge-metrics.ts";
import type { WorkerProcess } from "./worker-process.ts";
import {
  queriesFromBytes,
  queriesToBytes,
  type StatusWords,
  statusFromWords,
  tableToBytes,
  type VerifyWords,
} from "./worker-words.ts";

/** What is asked of a worker's process. */
export type Worker = Pick<WorkerProcess, "name" | "link" | "isListening" | "kill">;

export interface AllWorkersParts {
  readonly count: number;
  /** Those whose processes run, listening or not. */
  readonly running: () => readonly Worker[];
  /** Of the primary itself. */
  readonly metrics: () => Promise<string>;
}

/** Seals are read and descriptors compiled in each worker. */
const TABLE_TIMEOUT_MS = 60_000;
const ASK_TIMEOUT_MS = 5_000;

export class AllWorkers implements WholeGateway, GatewayAdmin {
  readonly #parts: AllWorkersParts;
  #table: Uint8Array | undefined;
  /** Tables are applied one after another. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(parts: AllWorkersParts) {
    this.#parts = parts;
  }

  /** For a worker that starts: what all others have, or are about to have. */
  get table(): Uint8Array | undefined {
    return this.#table;
  }

  apply(table: RouteTable): Promise<bigint> {
    const applied = this.#last.then(() => this.#apply(table));
    this.#last = applied.catch(() => undefined);
    return applied;
  }

  /**
   * First every worker loads it, so that all take it or none; then all swap. A worker that cannot any more is replaced by
   * one that begins with it, so when this resolves nobody answers by the former table.
   */
  async #apply(table: RouteTable): Promise<bigint> {
    const bytes = tableToBytes(table);
    const workers = this.#parts.running();
    if (workers.length === 0) throw new Fault("not-ready", "apply table: no worker runs", { retryAfterMs: 500 });
    const prepared = await Promise.all(
      workers.map((worker) => faultOf(worker.link.ask("prepare", bytes, TABLE_TIMEOUT_MS))),
    );
    const refused = prepared.find((fault) => fault !== undefined && !isGone(fault));
    if (refused !== undefined) throw refused;
    if (prepared.every((fault) => fault !== undefined)) throw prepared[0];
    this.#table = bytes;
    const swap = async (worker: Worker) => {
      const fault = await faultOf(worker.link.ask("apply", bytes, TABLE_TIMEOUT_MS));
      // Its successor begins with the table; why it is ended is in the fault that it told.
      if (fault !== undefined) worker.kill("SIGKILL");
    };
    await Promise.all(this.#parts.running().map(swap));
    return table.epoch;
  }

  /** Through the connections of each worker, since a proof is of one path. */
  async verify(table: RouteTable, wanted: VerifyWords["wanted"]): Promise<RouteProbeFailure[]> {
    const words: VerifyWords = { table: tableToBytes(table), wanted };
    const workers = this.#listening();
    if (workers.length === 0) throw new Fault("not-ready", "verify routes: no worker runs", { retryAfterMs: 500 });
    const ask = (worker: Worker) => worker.link.ask<RouteProbeFailure[]>("verify", words, TABLE_TIMEOUT_MS);
    const all = (await Promise.all(workers.map(ask))).flat();
    const byRoute = new Map(all.map((failure) => [routeOf(failure), failure]));
    return [...byRoute.values()].sort((a, b) => a.shard - b.shard || (a.node < b.node ? -1 : 1));
  }

  /** Of all that run, or a fault: what is left out of it counts as unused, and its node may be taken away. */
  async status() {
    const told = await Promise.all(this.#listening().map(statusOf));
    const all = told.filter((status) => status !== undefined);
    const [first = { epoch: 0n, tableSha256: "" }] = all.sort((a, b) => Number(a.epoch - b.epoch));
    return {
      epoch: first.epoch,
      tableSha256: first.tableSha256,
      inUse: together(all.flatMap(({ inUse }) => inUse)),
      differences: all.flatMap(({ differences }) => differences),
    };
  }

  async queries() {
    return (await this.#ask<Uint8Array>("queries")).flatMap(queriesFromBytes);
  }

  /** The same for a worker, which tells its client. */
  async queriesBytes(): Promise<Uint8Array> {
    return queriesToBytes(await this.queries());
  }

  /** The id may be under way in any worker, a set's members in several. */
  async cancel(id: string): Promise<void> {
    const faults = await Promise.all(
      this.#parts.running().map((worker) => faultOf(worker.link.ask("cancel", id, ASK_TIMEOUT_MS))),
    );
    if (faults.some((fault) => fault === undefined)) return;
    throw faults[0] ?? new Fault("unknown-query", `cancel query "${id.slice(0, 128)}": not under way here`);
  }

  async ready(): Promise<bigint> {
    const workers = this.#listening();
    const { count } = this.#parts;
    if (workers.length < count) {
      throw new Fault("not-ready", `${workers.length} of ${count} workers are ready`, { retryAfterMs: 500 });
    }
    const epochs = await Promise.all(
      workers.map((worker) => worker.link.ask<bigint>("ready", undefined, ASK_TIMEOUT_MS)),
    );
    return epochs.reduce((least, epoch) => (epoch < least ? epoch : least));
  }

  async metrics(): Promise<string> {
    const [own, ...texts] = await Promise.all([this.#parts.metrics(), this.#ask<string>("metrics")]);
    return mergeMetrics([own, ...texts.flat()]);
  }

  #listening(): readonly Worker[] {
    return this.#parts.running().filter((worker) => worker.isListening);
  }

  /** For lists: answers of those that listen and do answer. */
  async #ask<T>(name: string): Promise<T[]> {
    const asked = this.#listening().map((worker) => worker.link.ask<T>(name, undefined, ASK_TIMEOUT_MS));
    const settled = await Promise.allSettled(asked);
    return settled.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
  }
}

/** Undefined when the worker has ended meanwhile: it uses nothing any more. */
async function statusOf(worker: Worker): Promise<GatewayStatus | undefined> {
  try {
    return statusFromWords(await worker.link.ask<StatusWords>("status", undefined, ASK_TIMEOUT_MS));
  } catch (error) {
    if (worker.isListening) throw error;
    return undefined;
  }
}

function faultOf(work: Promise<unknown>): Promise<Fault | undefined> {
  return work.then(
    () => undefined,
    (error) => faultFromUnknown(error, "ask worker"),
  );
}

/** It says nothing of the table. */
function isGone(fault: Fault): boolean {
  return fault.id === "not-ready" || fault.id === "deadline-exceeded";
}

function routeOf({ tuple, shard, node }: RouteProbeFailure): string {
  return [tuple.snapshot, tuple.version, shard, node].join(" ");
}

function together(uses: readonly SnapshotUse[]): SnapshotUse[] {
  const byTuple = new Map<string, SnapshotUse>();
  for (const use of uses) {
    const key = `${use.snapshot} ${use.version}`;
    const known = byTuple.get(key);
    if (known === undefined) byTuple.set(key, use);
    else {
      const oldestEpoch = known.oldestEpoch < use.oldestEpoch ? known.oldestEpoch : use.oldestEpoch;
      byTuple.set(key, { ...known, queries: known.queries + use.queries, oldestEpoch });
    }
  }
  return [...byTuple.values()];
}
