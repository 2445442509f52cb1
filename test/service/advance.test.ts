import { appendFile, readFile, writeFile } from "node:fs/promises";
import { expect, onTestFinished, test } from "vitest";
import type { Fault } from "../../src/fault/fault.ts";
import type { SnapshotChanges } from "../../src/service/define-service.ts";
import { bindRequest, inTemporaryDirectory, served } from "./running.ts";
import { type FixtureShard, writeShard } from "./shard-fixture.ts";
import { scripted, smallFlights } from "./small-flights.ts";

/** Two snapshots of a shard: the second has the first one's segment and one more, of two rows. */
async function twoSnapshots(directory: string): Promise<readonly [FixtureShard, FixtureShard]> {
  const table = smallFlights(3);
  const more = { ...table, segments: [...table.segments, `SELECT * FROM (${table.segments[0]}) LIMIT 2`] };
  return [
    await writeShard(directory, { shard: 0, snapshot: "s1" }, [table]),
    await writeShard(directory, { shard: 0, snapshot: "s2" }, [more]),
  ];
}

const offering = (from: FixtureShard) => [{ snapshot: from.snapshot, manifestSha256: from.manifestSha256 }];

async function advance(previous: number, changes: SnapshotChanges): Promise<number> {
  let rows = previous;
  for await (const batch of changes.added("flights", ["delay"])) rows += batch.rows;
  return rows;
}

/** Serves a counting service, binds `s1`, and then `s2` with what is offered. */
async function bindBoth(
  directory: string,
  rest: Parameters<typeof scripted>[1],
  offered: (from: FixtureShard) => ReturnType<typeof offering> = offering,
  between: (shards: readonly [FixtureShard, FixtureShard]) => Promise<unknown> = async () => {},
) {
  const loads: string[] = [];
  const faults: Fault[] = [];
  const definition = scripted(
    {},
    {
      load: async (snapshot) => {
        loads.push("load");
        return Number(snapshot.tables[0]?.rows ?? 0n);
      },
      ...rest,
    },
  );
  const one = await served(definition, { report: (fault) => void faults.push(fault) });
  onTestFinished(() => one.close());
  const shards = await twoSnapshots(directory);
  await one.bind(shards[0]);
  await between(shards);
  const request = { ...bindRequest(shards[1]), advanceFrom: offered(shards[0]) };
  const bound = await one.binding.bind(request, { timeoutMs: 60_000 }).catch((error: Error) => error);
  return { bound, loads, faults };
}

test("a snapshot is advanced from the bound one that is offered, and both stay bound", () =>
  inTemporaryDirectory(async (directory) => {
    const { bound, loads, faults } = await bindBoth(directory, { advance });
    expect(bound).toMatchObject({ advancedFrom: "s1", stamp: { snapshot: "s2" } });
    expect([loads, faults]).toEqual([["load"], []]);
  }));

test("what `advance` throws is reported and the snapshot is loaded", () =>
  inTemporaryDirectory(async (directory) => {
    const broken = async () => {
      throw new Error("no such luck");
    };
    const { bound, loads, faults } = await bindBoth(directory, { advance: broken });
    expect(bound).toMatchObject({ advancedFrom: "", stamp: { snapshot: "s2" } });
    expect(loads).toEqual(["load", "load"]);
    expect(faults.map(({ message }) => message).join()).toMatch(/advance shard 0 from "s1" to "s2".*no such luck/);
  }));

test("nothing is advanced from a snapshot whose files are not those that are meant", () =>
  inTemporaryDirectory(async (directory) => {
    const other = () => [{ snapshot: "s1", manifestSha256: "0".repeat(64) }];
    const { bound, loads } = await bindBoth(directory, { advance }, other);
    expect(bound).toMatchObject({ advancedFrom: "" });
    expect(loads).toEqual(["load", "load"]);
  }));

test("a damaged new segment is refused, and so is a known one that was written to since", () =>
  inTemporaryDirectory(async (directory) => {
    for (const [at, part] of [
      [1, "new"],
      [0, "known"],
    ] as const) {
      const { bound } = await bindBoth(`${directory}/${part}`, { advance }, offering, async ([, second]) => {
        const path = second.segments[at] as string;
        if (part === "new") await appendFile(path, "x");
        else {
          const bytes = await readFile(path);
          bytes[20] = (bytes[20] as number) ^ 1;
          await writeFile(path, bytes);
        }
      });
      expect((bound as Error).message).toMatch(/sha-256 is/);
    }
  }));
