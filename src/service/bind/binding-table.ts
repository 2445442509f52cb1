import { Fault } from "../../fault/fault.ts";
import type { Stamp } from "../../mesh/stamp.ts";
import type { ShardManifest } from "../../wire/generated/skynetes/v1/seal_pb.ts";
import { SharedMemory, type SharedParts } from "./shared-memory.ts";

/** One shard of one snapshot, loaded: what a call needs to be answered. */
export interface Binding<State> {
  readonly stamp: Stamp;
  /** The same as protobuf, made once for all calls. */
  readonly stampBytes: Buffer;
  readonly manifestSha256: string;
  /** What it was loaded from; another snapshot's may be advanced from it. */
  readonly manifest: ShardManifest;
  readonly state: State;
  /** Of this state alone. */
  readonly memoryBytes: number;
  /** What it may share with other states. */
  readonly parts: SharedParts;
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
  readonly #shared = new SharedMemory();
  #ownBytes = 0;

  /** Bytes that bound states, and unbound ones still in use, are believed to take; what they share counts once. */
  get memoryBytes(): number {
    return this.#ownBytes + this.#shared.bytes;
  }

  /** By how much `memoryBytes` grows with it. */
  growth({ memoryBytes, parts }: Pick<Binding<State>, "memoryBytes" | "parts">): number {
    return memoryBytes + this.#shared.growth(parts);
  }

  get size(): number {
    return this.#entries.size;
  }

  find(snapshot: string, shard: number): Binding<State> | undefined {
    return this.#entries.get(bindingKey(snapshot, shard))?.binding;
  }

  add(binding: Binding<State>): void {
    this.#entries.set(bindingKey(binding.stamp.snapshot, binding.stamp.shard), { binding, calls: 0, unbound: false });
    this.#ownBytes += binding.memoryBytes;
    this.#shared.add(binding.parts);
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
    if (!entry.unbound || entry.calls > 0) return;
    this.#ownBytes -= entry.binding.memoryBytes;
    this.#shared.remove(entry.binding.parts);
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

/** With what it shares, as if it were alone. */
export function stateBytes({ memoryBytes, parts }: Pick<Binding<unknown>, "memoryBytes" | "parts">): number {
  return [...parts.values()].reduce((sum, bytes) => sum + bytes, memoryBytes);
}
