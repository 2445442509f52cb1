import { Fault } from "../../fault/fault.ts";
import { faultFromUnknown } from "../../fault/fault-from-unknown.ts";
import { encodeStamp } from "../../wire/converse/packed-stamp.ts";
import type { ShardFiles } from "../load/verify-shard.ts";
import { type Binding, type BindingHold, type BindingTable, bindingKey } from "./binding-table.ts";

/** What came of loading: the state, and how much memory it takes. */
export interface LoadedState<State> extends Pick<Binding<State>, "manifest" | "state" | "memoryBytes" | "parts"> {
  /** Advanced from the state that was given; false: loaded whole. */
  readonly advanced: boolean;
}

/** What came of a bind. */
export interface BoundState<State> {
  readonly binding: Binding<State>;
  /** The snapshot it was advanced from. */
  readonly advancedFrom: string | undefined;
}

export interface BinderOptions<State> {
  readonly table: BindingTable<State>;
  readonly serviceVersion: string;
  readonly memoryLimitBytes: number;
  /** Verifies the files and builds the state, from `previous` where that can be. */
  readonly load: (files: ShardFiles, previous: Binding<State> | undefined) => Promise<LoadedState<State>>;
}

/** More than any node has shards × snapshots waiting; beyond it something asks without waiting for answers. */
const BINDS_WAITING_MAX = 256;

interface BindUnderWay<State> {
  readonly files: ShardFiles;
  readonly result: Promise<BoundState<State>>;
  /** Unbind came while it was loading. */
  abandoned: boolean;
}

/**
 * Binds, one after another: loading is what needs memory beyond the states, so two at once could burst a bound that one
 * after another keeps. Those who ask for the same shard of the same snapshot meanwhile wait for the one load.
 */
export class Binder<State> {
  readonly #options: BinderOptions<State>;
  readonly #underWay = new Map<string, BindUnderWay<State>>();
  #last: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(options: BinderOptions<State>) {
    this.#options = options;
  }

  /**
   * Faults: `snapshot-conflict` (bound with another digest), `data-corrupt`, `out-of-memory`, `overloaded`, `not-ready`
   * (the process is closing), `cancelled` (unbound while it was loading).
   */
  bind(files: ShardFiles): Promise<BoundState<State>> {
    const key = bindingKey(files.snapshot, files.shard);
    const bound = this.#options.table.find(files.snapshot, files.shard);
    if (bound !== undefined) {
      refuseOther(key, bound.stamp.stateDigest, files.stateDigest);
      return Promise.resolve({ binding: bound, advancedFrom: undefined });
    }
    const loading = this.#underWay.get(key);
    if (loading !== undefined) {
      refuseOther(key, loading.files.stateDigest, files.stateDigest);
      return loading.result;
    }
    if (this.#closed) throw new Fault("not-ready", `bind ${key}: the service is closing`);
    if (this.#underWay.size >= BINDS_WAITING_MAX) {
      throw new Fault("overloaded", `bind ${key}: ${this.#underWay.size} binds are waiting`, { retryAfterMs: 1000 });
    }
    const result = this.#last.then(() => this.#load(key, files));
    this.#last = result.catch(() => {});
    this.#underWay.set(key, { files, result, abandoned: false });
    return result;
  }

  /** Unbinds what is bound and gives up what is loading. Unknown: nothing to do. */
  unbind(snapshot: string, shard: number): void {
    const loading = this.#underWay.get(bindingKey(snapshot, shard));
    if (loading !== undefined) loading.abandoned = true;
    this.#options.table.remove(snapshot, shard);
  }

  /** Refuses new binds and waits for the one that is loading. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#last;
  }

  async #load(key: string, files: ShardFiles): Promise<BoundState<State>> {
    const { table, serviceVersion, memoryLimitBytes } = this.#options;
    let previous: BindingHold<State> | undefined;
    try {
      this.#refuseGivenUp(key);
      if (table.memoryBytes >= memoryLimitBytes) throw outOfMemory(key, 0, table.memoryBytes, memoryLimitBytes);
      previous = this.#previous(files);
      const { advanced, ...loaded } = await this.#options.load(files, previous?.binding);
      this.#refuseGivenUp(key);
      const growth = table.growth(loaded);
      if (table.memoryBytes + growth > memoryLimitBytes) {
        throw outOfMemory(key, growth, table.memoryBytes, memoryLimitBytes);
      }
      const { shard, snapshot, stateDigest, manifestSha256 } = files;
      const stamp = { shard, snapshot, stateDigest, serviceVersion };
      const binding = { stamp, stampBytes: encodeStamp(stamp), manifestSha256, ...loaded };
      table.add(binding);
      return { binding, advancedFrom: advanced ? previous?.binding.stamp.snapshot : undefined };
    } catch (error) {
      throw faultFromUnknown(error, `bind ${key}`);
    } finally {
      previous?.release();
      this.#underWay.delete(key);
    }
  }

  /** The first of those offered that is bound with the very files that were meant. It counts until it is let go. */
  #previous({ shard, advanceFrom }: ShardFiles): BindingHold<State> | undefined {
    const { table } = this.#options;
    const offered = advanceFrom.find(
      ({ snapshot, manifestSha256 }) => table.find(snapshot, shard)?.manifestSha256 === manifestSha256,
    );
    return offered === undefined ? undefined : table.hold(offered.snapshot, shard);
  }

  #refuseGivenUp(key: string): void {
    if (this.#closed) throw new Fault("not-ready", `bind ${key}: the service is closing`);
    if (this.#underWay.get(key)?.abandoned === true) {
      throw new Fault("cancelled", `bind ${key}: unbound while it was loading`);
    }
  }
}

function refuseOther(key: string, bound: string, asked: string): void {
  if (bound === asked) return;
  throw new Fault("snapshot-conflict", `bind ${key}: bound with state digest ${bound}, asked for ${asked}`);
}

function outOfMemory(key: string, needed: number, used: number, limit: number): Fault {
  const message = `bind ${key}: the state takes ${mebibytes(needed)}, ${mebibytes(used)} of ${mebibytes(limit)} are in use`;
  return new Fault("out-of-memory", message);
}

const mebibytes = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
