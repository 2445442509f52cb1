import { stat } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type Cut, cutOf } from "../../src/mesh/cut.ts";
import type { FrozenShard } from "../../src/node/frozen-shard.ts";
import { type FreezeRequest, freezeShard } from "../../src/node/snapshot/freeze-shard.ts";
import { ShardDirectory } from "../../src/node/snapshot/shard-directory.ts";
import { DuckDbShardStore } from "../../src/node/store/duckdb-shard-store.ts";
import type { DecodedRecord } from "../../src/node/store/shard-store.ts";
import { segmentsOf } from "../../src/seal/segment-files.ts";
import { rowsOfSegments, tableSpec, testDirectory } from "./node-fixture.ts";

// Two partitions of each, as a broadcast table has them.
const EVENTS = tableSpec("events", "Append", { id: "INT64", word: "STRING?" }, { distribution: "Broadcast" });
const PLACES = tableSpec(
  "places",
  "Upsert",
  { code: "INT32", name: "STRING?" },
  { distribution: "Broadcast", key: ["code"] },
);
const TABLES = [EVENTS, PLACES];
const PARTITIONS = [0, 1];

interface ModelRecord {
  readonly table: "events" | "places";
  readonly partition: number;
  /** A place's code. Mostly its partition follows from it; where it does not, it is another key in each partition. */
  readonly code: number;
  /** `null`: a tombstone in places, a null word in events. */
  readonly text: string | null;
}

const record: fc.Arbitrary<ModelRecord> = fc
  .record({
    table: fc.constantFrom("events" as const, "places" as const),
    code: fc.integer({ min: 0, max: 5 }),
    partition: fc.constantFrom(...PARTITIONS),
    text: fc.option(fc.constantFrom("a", "b", "ü", "")),
    breaksRule: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
  })
  .map(({ breaksRule, ...r }) => (r.table === "places" && !breaksRule ? { ...r, partition: r.code % 2 } : r));

const fraction = fc.double({ min: 0, max: 1, noNaN: true });

/** Cuts in any order, and as they mostly come: each a little later than the one before. */
const cutFractions = fc.oneof(
  fc.array(fc.tuple(fraction, fraction), { minLength: 1, maxLength: 5 }),
  fc
    .array(fc.tuple(fraction, fraction), { minLength: 6, maxLength: 10 })
    .map((all) => [...all].sort(([a, b], [c, d]) => a + b - c - d)),
  fc
    .array(fraction, { minLength: 6, maxLength: 10 })
    .map((all) => all.sort((a, b) => a - b).map((n): [number, number] => [n, n])),
);

const nullsOf = ({ tables }: FrozenShard["manifest"]) =>
  tables.map(({ statistics }) => statistics.map(({ nulls }) => nulls));

test("any cuts, in any order, on replicas with other batches, show exactly the rows of the model", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(record, { maxLength: 80 }),
      cutFractions,
      fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 5 }),
      async (history, fractions, sizes) => {
        const [one, other] = [await Replica.open(), await Replica.open()];
        await one.ingest(history, [history.length || 1]);
        await other.ingest(history, sizes);
        const cuts = fractions.map((fraction) => cutAt(history, fraction));
        const digests = new Map<string, string>();
        for (const [i, cut] of cuts.entries()) {
          const { manifest } = await one.freeze(`s${i}`, cut);
          expect(await one.rows(manifest.tables)).toEqual(modelRows(history, cut));
          expect(manifest.tables.map((table) => Number(table.rows))).toEqual(
            modelRows(history, cut).map((rows) => rows.length),
          );
          // What was added up is what a freeze without any history works out.
          const whole = (await one.freeze(`whole${i}`, cut, [])).manifest;
          expect(manifest.stateDigest).toBe(whole.stateDigest);
          expect(nullsOf(manifest)).toEqual(nullsOf(whole));
          digests.set(`s${i}`, manifest.stateDigest);
        }
        // The other replica freezes the same cuts in the opposite order, so its segments differ.
        for (const [i, cut] of [...cuts.entries()].reverse()) {
          expect((await other.freeze(`s${i}`, cut)).manifest.stateDigest).toBe(digests.get(`s${i}`));
        }
        await one.close();
        await other.close();
      },
    ),
    { numRuns: 25 },
  );
});

test("a freeze of an append table writes its tail alone and names the earlier segments again", async () => {
  const replica = await Replica.open();
  const word = (text: string): ModelRecord => ({ table: "events", partition: 0, code: 0, text });
  const history = Array.from({ length: 4000 }, (_, i) => word(`word number ${i}`));
  await replica.ingest(history, [500]);
  const at = (n: bigint) =>
    cutAt(history, [0, 0]).map((p) => (p.topic === "events" && p.partition === 0 ? { ...p, position: n } : p));
  const first = await replica.freeze("first", at(3900n));
  const second = await replica.freeze("second", at(4000n));
  const lower = await replica.freeze("lower", at(3950n));
  const [base] = segmentsOf(first.manifest);
  expect(segmentsOf(second.manifest).map(({ sha256, rows }) => [sha256, rows])).toEqual([
    [base!.sha256, 3900n],
    [expect.any(String), 100n],
  ]);
  expect(segmentsOf(lower.manifest).map(({ sha256, rows }) => [sha256, rows])).toEqual([
    [base!.sha256, 3900n],
    [expect.any(String), 50n],
  ]);
  const size = async (sha256: string) => (await stat(replica.directory.segmentPath(sha256))).size;
  expect(await size(segmentsOf(second.manifest)[1]!.sha256)).toBeLessThan((await size(base!.sha256)) / 10);
  expect(second.manifest.tables[0]!.statistics[1]).toMatchObject({ min: "word number 0", max: "word number 999" });
  await replica.close();
});

test("an upsert table whose topic stood still is named again and not written", async () => {
  const replica = await Replica.open();
  const history: ModelRecord[] = [
    { table: "places", partition: 0, code: 2, text: "a" },
    { table: "events", partition: 0, code: 0, text: "x" },
  ];
  await replica.ingest(history, [10]);
  const whole = cutAt(history, [1, 1]);
  const first = await replica.freeze(
    "first",
    whole.map((p) => (p.topic === "events" ? { ...p, position: 0n } : p)),
  );
  const second = await replica.freeze("second", whole);
  expect(second.manifest.tables[1]!.segments).toEqual(first.manifest.tables[1]!.segments);
  expect(first.manifest.tables[0]!.segments).toEqual([]);
  await replica.close();
});

test("a freeze of an upsert table writes what changed, and which rows are so no longer", async () => {
  const replica = await Replica.open();
  const place = (code: number, text: string | null): ModelRecord => ({ table: "places", partition: 0, code, text });
  const history = [
    ...Array.from({ length: 3000 }, (_, code) => place(code, `place number ${code}`)),
    place(7, "seven"),
    place(8, null),
    place(5000, "new"),
    place(5001, "not for long"),
    place(5001, null),
    place(7, "seven again"),
    place(9, null),
  ];
  await replica.ingest(history, [500]);
  const at = (n: number) =>
    cutAt(history, [1, 1]).map((p) => (p.topic === "places" && p.partition === 0 ? { ...p, position: BigInt(n) } : p));
  const first = await replica.freeze("first", at(3000));
  const second = await replica.freeze("second", at(3005));
  const [base, tail] = second.manifest.tables[1]!.segments;
  expect(base).toEqual(first.manifest.tables[1]!.segments[0]);
  expect(tail).toMatchObject({
    rows: 2n,
    from: { positions: [{ position: 3000n }, {}] },
    removals: { rows: 2n, nulls: [0n, 0n] },
  });
  expect(second.manifest.tables[1]!.rows).toBe(3000n);
  expect(await replica.rows(second.manifest.tables)).toEqual(modelRows(history, at(3005)));

  // A row that is removed already is not removed again, nor when its segments are merged.
  const third = await replica.freeze("third", at(3006));
  expect(third.manifest.tables[1]!.segments.map(({ rows, removals }) => [rows, removals?.rows])).toEqual([
    [3000n, undefined],
    [2n, 2n],
    [1n, 1n],
  ]);
  const fourth = await replica.freeze("fourth", at(3007));
  expect(fourth.manifest.tables[1]!.segments.map(({ rows, removals }) => [rows, removals?.rows])).toEqual([
    [3000n, undefined],
    [2n, 2n],
    [0n, 1n],
  ]);
  for (const [{ manifest }, n] of [
    [third, 3006],
    [fourth, 3007],
  ] as const) {
    expect(await replica.rows(manifest.tables)).toEqual(modelRows(history, at(n)));
    expect(manifest.stateDigest).toBe((await replica.freeze(`whole-${n}`, at(n), [])).manifest.stateDigest);
  }
  await replica.close();
});

test("rows that are sent again as they were replace themselves", async () => {
  const replica = await Replica.open();
  const all = [0, 2, 4].map((code): ModelRecord => ({ table: "places", partition: 0, code, text: "as before" }));
  const history = [...all, ...all];
  await replica.ingest(history, [500]);
  for (const half of [0.5, 1]) {
    const cut = cutAt(history, [half, half]);
    const { manifest } = await replica.freeze(`at-${half * 2}`, cut);
    expect(await replica.rows(manifest.tables)).toEqual(modelRows(history, cut));
  }
  await replica.close();
});

test("a cut that is not ingested, or of a topic made anew, is refused and leaves no snapshot", async () => {
  const replica = await Replica.open();
  const history: ModelRecord[] = [{ table: "events", partition: 0, code: 0, text: "x" }];
  await replica.ingest(history, [1]);
  const cut = cutAt(history, [1, 1]);
  const beyond = cut.map((p) => (p.topic === "events" && p.partition === 0 ? { ...p, position: 2n } : p));
  await expect(replica.freeze("s", beyond)).rejects.toMatchObject({ id: "cut-not-reached" });
  const anew = cut.map((p) => (p.topic === "events" ? { ...p, topicId: "another" } : p));
  await expect(replica.freeze("s", anew)).rejects.toMatchObject({ id: "topic-recreated" });
  expect(await replica.directory.snapshots()).toEqual([]);
  await replica.close();
});

class Replica {
  readonly store: DuckDbShardStore;
  readonly directory: ShardDirectory;
  readonly #frozen: FrozenShard[] = [];

  constructor(store: DuckDbShardStore, directory: ShardDirectory) {
    this.store = store;
    this.directory = directory;
  }

  static async open(): Promise<Replica> {
    const directory = await ShardDirectory.open(join(await testDirectory(), "shard-0"));
    const temporaryDirectory = directory.temporaryDirectory;
    const store = await DuckDbShardStore.open(directory.database, TABLES, {
      memoryLimit: "256MB",
      threads: 1,
      temporaryDirectory,
    });
    return new Replica(store, directory);
  }

  /** Each partition in batches of the sizes given, over and over. */
  async ingest(history: readonly ModelRecord[], sizes: readonly number[]): Promise<void> {
    for (const table of TABLES) {
      for (const partition of PARTITIONS) {
        const rows = decoded(history, table.name, partition);
        for (let at = 0, turn = 0; at < rows.length; turn++) {
          const part = rows.slice(at, at + sizes[turn % sizes.length]!);
          const from = BigInt(at);
          at += part.length;
          const [topic, topicId] = [table.topic, `id-of-${table.topic}`];
          await this.store.commit({ topic, topicId, partition, from, to: BigInt(at), rows: part, rejects: [] });
        }
      }
    }
  }

  /** Without `earlier` on what was frozen so; what is frozen on something else is not gone on from. */
  async freeze(snapshot: string, cut: Cut, from?: readonly FrozenShard[]): Promise<FrozenShard> {
    const { store, directory } = this;
    const earlier = (from ?? this.#frozen).map(({ manifest }) => manifest);
    const request: FreezeRequest = { mesh: "m", shard: 0, snapshot, cut, tables: TABLES, earlier, store, directory };
    const frozen = await freezeShard(request);
    if (from === undefined) this.#frozen.push(frozen);
    return frozen;
  }

  async rows(tables: FrozenShard["manifest"]["tables"]): Promise<string[][]> {
    return Promise.all(tables.map((table) => rowsOfSegments(this.directory.path, table)));
  }

  close(): Promise<void> {
    return this.store.close();
  }
}

function ofPartition(history: readonly ModelRecord[], table: string, partition: number): ModelRecord[] {
  return history.filter((r) => r.table === table && r.partition === partition);
}

function decoded(history: readonly ModelRecord[], table: string, partition: number): DecodedRecord[] {
  return ofPartition(history, table, partition).map((r, i) => ({
    table,
    partition,
    offset: BigInt(i),
    values: table === "events" ? [2n ** 60n + BigInt(i), r.text] : [r.code, r.text],
    tombstone: table === "places" && r.text === null,
  }));
}

function cutAt(history: readonly ModelRecord[], fraction: readonly [number, number]): Cut {
  return cutOf(
    TABLES.flatMap(({ topic }) =>
      PARTITIONS.map((partition) => {
        const { length } = ofPartition(history, topic, partition);
        const position = BigInt(Math.floor(length * fraction[partition]!));
        return { topic, topicId: `id-of-${topic}`, partition, position };
      }),
    ),
  );
}

/** What a database without history would show: rows of events, rows of places. */
function modelRows(history: readonly ModelRecord[], cut: Cut): string[][] {
  const events: string[] = [];
  const places = new Map<string, string>();
  for (const { topic, partition, position } of cut) {
    const below = ofPartition(history, topic, partition).slice(0, Number(position));
    for (const [i, { code, text }] of below.entries()) {
      if (topic === "events") events.push(JSON.stringify([String(2n ** 60n + BigInt(i)), text]));
      else if (text === null) places.delete(`${partition}/${code}`);
      else places.set(`${partition}/${code}`, JSON.stringify([code, text]));
    }
  }
  return [events.sort(), [...places.values()].sort()];
}
