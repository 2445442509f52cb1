/**
 * What shards sent while the first groups are searched: the batches that partials were decoded into, and a number for
 * every key. A part of a group is told by its batch and its row, in one number.
 */
import type { Message } from "@bufbuild/protobuf";
import { SLICE, type Slices } from "../../../accumulator/sliced-sort.ts";
import type { GroupOrder, TopRecipe } from "../../../merge-plan/method-plan.ts";
import { badPartial } from "../bad-partial.ts";
import type { MergeContext } from "../field-accumulator.ts";
import { type MessageAccumulator, messageAccumulator } from "../message-accumulator.ts";
import type { Rank, Shown } from "../rank.ts";
import { extremeRange, type Range, sumRange, type Unseen } from "../top-bounds.ts";
import type { Rest, TopAsk, TopSearch } from "../top-k.ts";
import type { Batch } from "./batch.ts";
import { cellOf } from "./cell-value.ts";
import { GroupTable } from "./group-table.ts";
import type { Layout } from "./layout.ts";
import { type PartReader, partReader } from "./part-reader.ts";

const ROWS_MAX = 2 ** 26;

export interface KeptBatch {
  readonly shard: number;
  readonly groups: Batch;
  /** By row: the number of its key. */
  readonly ids: Int32Array;
  readonly purpose: TopAsk<number>;
}

export class KeptParts {
  readonly batches: KeptBatch[] = [];
  /** Every key that came; its row is its number. */
  readonly names: GroupTable;
  readonly #rank: Rank;
  readonly #partOf: PartReader;
  /** Merges parts only to see how good they are. */
  readonly #scratch: () => MessageAccumulator;
  readonly #holdBytes: (bytes: number) => void;
  /** Shards that have sent something. */
  readonly #isKnown = new Set<number>();
  /** By shard that sends more, and number of the key: 1 where a part came. */
  readonly #held = new Map<number, Uint8Array>();
  #learned = 0;

  constructor(top: TopRecipe, layout: Layout, order: GroupOrder, rank: Rank, { window, budget }: MergeContext) {
    const untold = { window, budget: { hold() {}, holdBytes() {} } };
    this.#rank = rank;
    this.#partOf = partReader(top.element, layout, order);
    this.#scratch = madeOnce(() => messageAccumulator(top.element, untold));
    this.names = new GroupTable(layout, untold, "keys");
    this.#holdBytes = budget.holdBytes;
  }

  /** Faults: `bad-partial` for a group that is there twice or was not asked for, `answer-too-large`. */
  *keep(shard: number, groups: Batch, purpose: TopAsk<number>): Slices<void> {
    const ids = groups.isFew ? this.names.rowsOfFew(groups, undefined) : yield* this.names.rowsOf(groups, undefined);
    const asked = purpose.kind === "keys" ? new Set(purpose.groups.map(({ identity }) => identity)) : undefined;
    const sent = new Uint8Array(this.names.rows);
    // Of what a shard sends first, nothing is held yet.
    const held = this.#isKnown.has(shard) ? this.#heldBy(shard) : undefined;
    if (held === undefined) this.#holdBytes(ids.length * groups.layout.rowBytes);
    for (let row = 0; row < ids.length; row++) {
      const id = ids[row]!;
      if (sent[id] === 1) throw badPartial(shard, `group ${this.#nameOf(id)} is there twice`);
      if (asked?.has(id) === false) throw badPartial(shard, `group ${this.#nameOf(id)} was not asked for`);
      sent[id] = 1;
      if (held !== undefined) {
        if (held[id] === 0) this.#holdBytes(groups.layout.rowBytes);
        held[id] = 1;
      }
      if (row % SLICE === SLICE - 1) yield;
    }
    this.#isKnown.add(shard);
    this.batches.push({ shard, groups, ids, purpose });
  }

  /** Tells the search of what came since the last time. */
  *learn(search: TopSearch<number>, restOf: (shard: number) => Rest): Slices<void> {
    for (; this.#learned < this.batches.length; this.#learned++) {
      const { shard, groups, ids, purpose } = this.batches[this.#learned]!;
      for (let row = 0; row < ids.length; row++) {
        if (this.#rank.isAbsent(this.#partOf(groups, row))) search.giveUpBounds();
        // A part that was sent before takes the former one's place.
        search.learn(shard, ids[row]!, undefined, partNumber(this.#learned, row));
        if (row % SLICE === SLICE - 1) yield;
      }
      if (purpose.kind === "keys") search.learnKeys(shard, purpose.groups);
      else search.learnRest(shard, restOf(shard));
    }
  }

  get isLearned(): boolean {
    return this.#learned > 0;
  }

  /** The key by which a shard is asked for a group. */
  keyOf(id: number): unknown {
    return this.#keyParts(id)[0];
  }

  range(parts: readonly number[], unseen: readonly Unseen[]): Range {
    const read = parts.map((part) => {
      return this.#partOf(this.batches[Math.floor(part / ROWS_MAX)]!.groups, part % ROWS_MAX);
    });
    if (this.#rank.family === "extreme") return extremeRange(this.#rank, this.#valueOf(read), unseen);
    let sum = 0n;
    for (const part of read) {
      const exact = this.#rank.exactOf(part);
      if (exact === undefined) {
        // NaN or an infinity: what other shards hold unseen is finite and changes nothing.
        const value = this.#valueOf(read);
        return { best: value, worst: value };
      }
      sum += exact;
    }
    return sumRange(this.#rank, sum, unseen);
  }

  /** What a part is ranked by, as if it were all of its group. */
  shown(groups: Batch, row: number): Shown {
    return this.#valueOf([this.#partOf(groups, row)]);
  }

  #valueOf(parts: readonly Message[]): Shown {
    const scratch = this.#scratch();
    return this.#rank.valueOf(parts.reduce((state, part) => scratch.add(state, part, 0), scratch.empty()));
  }

  #heldBy(shard: number): Uint8Array {
    const known = this.#held.get(shard);
    if (known !== undefined && known.length >= this.names.rows) return known;
    const larger = new Uint8Array(Math.max(64, 2 * this.names.rows));
    if (known !== undefined) larger.set(known);
    else for (const { shard: of, ids } of this.batches) if (of === shard) for (const id of ids) larger[id] = 1;
    this.#held.set(shard, larger);
    return larger;
  }

  #keyParts(id: number): unknown[] {
    const { layout, columns } = this.names;
    return layout.key.map((slot) => slot.field && cellOf(columns[slot.index]!, slot.field, id));
  }

  #nameOf(id: number): string {
    return this.#keyParts(id).map(String).join(", ");
  }
}

/** Where all shards have sent all they have, nothing is looked at. */
function madeOnce<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

export function partNumber(batch: number, row: number): number {
  return batch * ROWS_MAX + row;
}
