import { expect, test } from "vitest";
import type { DelayService } from "../../examples/flights/generated/flights/v1/delay_pb.ts";
import { type CheckedTables, checkAdvance } from "../../src/service/check/check-advance.ts";
import type { ColumnBatch, ServiceDefinition, SnapshotChanges } from "../../src/service/define-service.ts";

type Totals = Map<string, number>;
type Definition = Pick<ServiceDefinition<typeof DelayService, Totals>, "load" | "advance">;

const tables: CheckedTables = {
  orders: {
    columns: { customer: "STRING", amount: "INT32" },
    row: (random) => ({ customer: "abc"[Math.floor(random() * 3)] as string, amount: Math.floor(random() * 5) }),
  },
  stock: {
    columns: { item: "STRING", amount: "INT32" },
    key: ["item"],
    row: (random) => ({ item: "xyz"[Math.floor(random() * 3)] as string, amount: Math.floor(random() * 5) + 1 }),
  },
};

const SCANS = [
  ["orders", "customer"],
  ["stock", "item"],
] as const;

function add(totals: Totals, batch: ColumnBatch, by: 1 | -1): void {
  const [names, amounts] = batch.columns;
  if (names?.type !== "STRING" || amounts?.type !== "INT32") throw new Error("other columns");
  for (let row = 0; row < batch.rows; row++) {
    const name = names.dictionary[names.codes[row] as number] as string;
    const total = (totals.get(name) ?? 0) + by * (amounts.values[row] as number);
    if (total === 0) totals.delete(name);
    else totals.set(name, total);
  }
}

const load: Definition["load"] = async (snapshot) => {
  const totals: Totals = new Map();
  for (const [table, name] of SCANS) {
    for await (const batch of snapshot.scan(table, [name, "amount"])) add(totals, batch, 1);
  }
  return totals;
};

async function change(totals: Totals, changes: SnapshotChanges, without: string): Promise<Totals> {
  for (const [table, name] of SCANS) {
    const columns = [name, "amount"];
    if (without !== "added") for await (const batch of changes.added(table, columns)) add(totals, batch, 1);
    if (without !== "removed") for await (const batch of changes.removed(table, columns)) add(totals, batch, -1);
    if (without === "replaced") continue;
    for await (const { before, after } of changes.replaced(table, columns)) {
      add(totals, before, -1);
      add(totals, after, 1);
    }
  }
  return totals;
}

test("a right advance passes", () =>
  checkAdvance({ load, advance: (previous, changes) => change(new Map(previous), changes, "nothing") }, { tables }));

test.each(["added", "removed", "replaced"])("one that leaves out %s rows is found", (without) => {
  const advance: Definition["advance"] = (previous, changes) => change(new Map(previous), changes, without);
  return expect(checkAdvance({ load, advance }, { tables })).rejects.toThrow(/advance and load differ.*seed \d+/);
});

test("one that writes to the state it was given is found", () => {
  const advance: Definition["advance"] = async (previous, changes) =>
    new Map(await change(previous, changes, "nothing"));
  return expect(checkAdvance({ load, advance }, { tables })).rejects.toThrow(/changed the state it was given/);
});
