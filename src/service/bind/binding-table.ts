import { Fault } from "../../fault/fault.ts";
import type { Stamp } from "../../mesh/stamp.ts";

/** One shard of one snapshot, loaded: what a call needs to be answered. */
export interface Binding<State> {
  readonly stamp: Stamp;
  /** The same as protobuf, made once for all calls. */
  readonly stampBytes: Buffer;
  readonly manifestSha256: string;
  readonly state: State;
  readonly memoryBytes: number;
}

/** A call's hold on a binding: the state stays counted until it is let go. */
export interface BindingHold<State> {
  readonly binding: Binding<State>;
  release(): void;
}

interface Entry<State> {
  readonly binding: Binding<State>;
  calls: number;
  unbound: boolean;
}

/** So many are named when a snapshot is not bound; more would not fit in a status message. */
const NAMED_MAX = 20;

/**
 * What is bound in this process. An entry that is unbound is gone for new calls at once; its memory counts until the
 * last call under way has let it go, since only then can it be collected.
 */
export class BindingTable<State> {
  readonly #entries = new Map<string, Entry<State>>();
  #memoryBytes = 0;

  /** Bytes that bound states, and unbound ones still in use, are believed to take. */
  get memoryBytes(): number {
    return this.#memoryBytes;
  }

  get size(): number {
    return this.#entries.size;
  }

  find(snapshot: string, shard: number): Binding<State> | undefined {
    return this.#entries.get(bindingKey(snapshot, shard))?.binding;
  }

  add(binding: Binding<State>): void {
    this.#entries.set(bindingKey(binding.stamp.snapshot, binding.stamp.shard), { binding, calls: 0, unbound: false });
    this.#memoryBytes += binding.memoryBytes;
  }

  /** Returns false when it was not bound. */
  remove(snapshot: string, shard: number): boolean {
    const entry = this.#entries.get(bindingKey(snapshot, shard));
    if (entry === undefined) return false;
    this.#entries.delete(bindingKey(snapshot, shard));
    entry.unbound = true;
    this.#freeIfUnused(entry);
    return true;
  }

  /** Fault `snapshot-not-bound`: it is not bound here. Never answered from another snapshot. */
  hold(snapshot: string, shard: number): BindingHold<State> {
    const entry = this.#entries.get(bindingKey(snapshot, shard));
    if (entry === undefined) {
      const message = `shard ${shard} of snapshot "${snapshot}" is not bound here; bound: ${this.#boundText()}`;
      throw new Fault("snapshot-not-bound", message, { shard });
    }
    entry.calls++;
    let held = true;
    return {
      binding: entry.binding,
      release: () => {
        if (!held) return;
        held = false;
        entry.calls--;
        this.#freeIfUnused(entry);
      },
    };
  }

  /** By snapshot, then by shard. */
  bindings(): readonly Binding<State>[] {
    return [...this.#entries.values()]
      .map((entry) => entry.binding)
      .sort(({ stamp: a }, { stamp: b }) =>
        a.snapshot < b.snapshot ? -1 : a.snapshot > b.snapshot ? 1 : a.shard - b.shard,
      );
  }

  stamps(): readonly Stamp[] {
    return this.bindings().map(({ stamp }) => stamp);
  }

  #freeIfUnused(entry: Entry<State>): void {
    if (entry.unbound && entry.calls === 0) this.#memoryBytes -= entry.binding.memoryBytes;
  }

  #boundText(): string {
    const names = this.stamps().map((stamp) => bindingKey(stamp.snapshot, stamp.shard));
    if (names.length === 0) return "nothing";
    const more = names.length > NAMED_MAX ? ` and ${names.length - NAMED_MAX} more` : "";
    return `${names.slice(0, NAMED_MAX).join(", ")}${more}`;
  }
}

export function bindingKey(snapshot: string, shard: number): string {
  return `${snapshot}/${shard}`;
}
