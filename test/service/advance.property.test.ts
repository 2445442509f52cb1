/** What `advance` is told of two snapshots, against what `load` sees of each, over real Parquet files. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { DelayService } from "../../examples/flights/generated/flights/v1/delay_pb.ts";
import { KnownDigests } from "../../src/process/known-digests.ts";
import { loadState } from "../../src/service/bind/load-state.ts";
import type { ColumnBatch, ServiceDefinition, SnapshotChanges } from "../../src/service/define-service.ts";
import { inTemporaryDirectory } from "./running.ts";
import { type FixtureTable, writeShard } from "./shard-fixture.ts";

/** Every row as text, with how often it is there. */
type Rows = Map<string, number>;
type State = Readonly<Record<"events" | "accounts", Rows>>;

const COLUMNS = ["id", "tag", "amount"];

function textsOf(batch: ColumnBatch): string[] {
  return Array.from({ length: batch.rows }, (_, row) =>
    batch.columns
      .map((column) => {
        if (column.nulls?.[row] === 1) return "null";
        const value = column.type === "STRING" ? column.dictionary[column.codes[row] as number] : column.values[row];
        return Object.is(value, -0) ? "-0" : String(value);
      })
      .join("|"),
  );
}

function count(rows: Rows, texts: readonly string[], by: 1 | -1): void {
  for (const text of texts) {
    const now = (rows.get(text) ?? 0) + by;
    if (now === 0) rows.delete(text);
    else rows.set(text, now);
  }
}

const definition: Pick<ServiceDefinition<typeof DelayService, State>, "service" | "load" | "advance"> = {
  service: DelayService,
  async load(snapshot) {
    const state: State = { events: new Map(), accounts: new Map() };
    for (const table of ["events", "accounts"] as const) {
      for await (const batch of snapshot.scan(table, COLUMNS)) count(state[table], textsOf(batch), 1);
    }
    return state;
  },
  async advance(previous, changes) {
    const state: State = { events: new Map(previous.events), accounts: new Map(previous.accounts) };
    for (const table of ["events", "accounts"] as const) await apply(state[table], table, changes);
    return state;
  },
};

async function apply(rows: Rows, table: string, changes: SnapshotChanges): Promise<void> {
  const { change } = changes.tables.find(({ name }) => name === table) as SnapshotChanges["tables"][number];
  let seen = 0;
  for await (const batch of changes.removed(table, COLUMNS)) {
    count(rows, textsOf(batch), -1);
    seen++;
  }
  for await (const { rows: replaced, before, after } of changes.replaced(table, COLUMNS)) {
    expect([before.rows, after.rows]).toEqual([replaced, replaced]);
    const [was, is] = [textsOf(before), textsOf(after)];
    for (const [i, text] of was.entries()) {
      expect(is[i]?.split("|")[0], "replaced by a row of the same key").toBe(text.split("|")[0]);
      expect(is[i]).not.toBe(text);
    }
    count(rows, was, -1);
    count(rows, is, 1);
    seen++;
  }
  if (change !== "any") expect(seen).toBe(0);
  for await (const batch of changes.added(table, COLUMNS)) {
    count(rows, textsOf(batch), 1);
    seen++;
  }
  if (change === "none") expect(seen).toBe(0);
}

interface Row {
  readonly id: number;
  readonly tag: string | null;
  readonly amount: number | null;
}

// Few values, so that equal rows and rows of one key come often; minus zero is another value than zero.
const row = fc.record<Row>({
  id: fc.integer({ min: 0, max: 9 }),
  tag: fc.constantFrom(null, "", "é'", "b"),
  amount: fc.constantFrom(null, 0, -0, 1.5, Number.NaN, Number.POSITIVE_INFINITY),
});
const step = fc.record({
  events: fc.array(row, { maxLength: 8 }),
  accounts: fc.array(row, { maxLength: 8 }),
  /** Accounts that lose their row; a later step may give them one again. */
  deleted: fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 5 }),
  compacts: fc.boolean(),
});

/** Rows of an upsert table as a freeze keeps them: segments, and the places in them that hold no row any more. */
class PlacedRows {
  readonly #segments: Row[][] = [];
  readonly #removed: [segment: number, row: number][] = [];
  readonly #places = new Map<number, [segment: number, row: number]>();

  write(deleted: readonly number[], written: readonly Row[]): void {
    for (const id of deleted) this.#remove(id);
    const rows = [...new Map(written.map((one) => [one.id, one])).values()];
    for (const { id } of rows) this.#remove(id);
    if (rows.length === 0) return;
    const segment = this.#segments.push(rows) - 1;
    for (const [place, { id }] of rows.entries()) this.#places.set(id, [segment, place]);
  }

  #remove(id: number): void {
    const place = this.#places.get(id);
    if (place !== undefined) this.#removed.push(place);
    this.#places.delete(id);
  }

  compacted(): PlacedRows {
    const compact = new PlacedRows();
    compact.write(
      [],
      [...this.#places.values()].map(([segment, place]) => this.#segments[segment]?.[place] as Row),
    );
    return compact;
  }

  files() {
    return { segments: this.#segments.map(select), removed: [...this.#removed] };
  }
}

/** `segment` is in no scan: it makes files of a table differ, as those of a freeze do. Empty: there are no rows. */
function select(rows: readonly Row[], segment: number): string {
  if (rows.length === 0) return "";
  const value = ({ id, tag, amount }: Row) => {
    const text = tag === null ? "NULL" : `'${tag.replaceAll("'", "''")}'`;
    const number = amount === null ? "NULL" : `'${Object.is(amount, -0) ? "-0" : amount}'`;
    return `(CAST(${id} AS BIGINT), CAST(${text} AS VARCHAR), CAST(${number} AS DOUBLE))`;
  };
  return `SELECT *, ${segment} AS segment FROM (VALUES ${rows.map(value).join(", ")}) t(id, tag, amount)`;
}

test("advancing by the changes from any snapshot to any other gives what load gives", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 2, maxLength: 5 }),
      fc.array(fc.nat(), { minLength: 6, maxLength: 6 }),
      (steps, order) => inTemporaryDirectory((directory) => history(directory, steps, order)),
    ),
    { numRuns: 12 },
  );
}, 300_000);

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

async function history(directory: string, steps: readonly Step[], order: readonly number[]): Promise<void> {
  const faults: unknown[] = [];
  const options = {
    memoryBytes: 64 * 2 ** 20,
    threads: 1,
    instance: "advance",
    scanDirectory: undefined,
    views: undefined,
    digests: new KnownDigests(),
    report: (error: unknown) => void faults.push(error),
  };
  const shards = [];
  let chain: Row[][] = [];
  let accounts = new PlacedRows();
  for (const [i, { events, accounts: written, deleted, compacts }] of steps.entries()) {
    chain = compacts ? [[...chain.flat(), ...events].reverse()] : [...chain, events];
    if (compacts) accounts = accounts.compacted();
    accounts.write(deleted, written);
    const columns = [
      { name: "id", type: "INT64" },
      { name: "tag", type: "STRING" },
      { name: "amount", type: "DOUBLE" },
    ];
    const tables: FixtureTable[] = [
      { name: "events", columns, segments: chain.map(select).filter((text) => text !== "") },
      { name: "accounts", columns, key: ["id"], ...accounts.files() },
    ];
    const files = { ...(await writeShard(directory, { shard: 0, snapshot: `s${i}` }, tables)), advanceFrom: [] };
    shards.push({ files, ...(await loadState(definition as never, options, files, undefined)) });
  }
  for (const pick of order) {
    const from = shards[pick % shards.length] as (typeof shards)[number];
    const to = shards[(pick >> 8) % shards.length] as (typeof shards)[number];
    const before = structuredClone(from.state);
    const previous = { ...from, stamp: { snapshot: from.files.snapshot } };
    const found = await loadState(definition as never, options, to.files, previous as never);
    expect(faults).toEqual([]);
    expect(found.advanced).toBe(true);
    expect(found.state).toEqual(to.state);
    expect(from.state, "the former state is as it was").toEqual(before);
  }
}
