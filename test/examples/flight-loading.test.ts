import { describe, expect, test } from "vitest";
import delayFromEnvironment from "../../examples/flights/delay-service.ts";
import { DelayService } from "../../examples/flights/generated/flights/v1/delay_pb.ts";
import { definitionOfModule } from "../../src/service/definition-of-module.ts";
import { inTemporaryDirectory, served, VERSION } from "../service/running.ts";
import { type FixtureTable, writeShard } from "../service/shard-fixture.ts";

const target = { version: VERSION, shard: 0, snapshot: "s1" };

function flights(select: string, integer = "INT64"): FixtureTable {
  const types = { date: "TIMESTAMP", delay: integer, distance: integer, origin: "STRING", destination: "STRING" };
  return {
    name: "flights",
    columns: Object.entries(types).map(([name, type]) => ({ name, type, nullable: true })),
    segments: select === "" ? [] : [select],
  };
}

async function countOf(table: FixtureTable): Promise<bigint | undefined> {
  return inTemporaryDirectory(async (directory) => {
    const service = await served(delayFromEnvironment({}));
    try {
      await service.bind(await writeShard(directory, { shard: 0, snapshot: "s1" }, [table]));
      return (await service.caller.call(DelayService.method.summarize, {}, target)).messages[0]?.flights;
    } finally {
      await service.close();
    }
  });
}

describe("loading flights", () => {
  const row = "TIMESTAMP '2001-01-01' AS date, 5 AS delay, 100 AS distance, 'A' AS origin, 'B' AS destination";
  test("a shard without rows is bound and answers nothing", async () => {
    expect(await countOf(flights(""))).toBe(0n);
  });
  test("32-bit columns do as well", async () => {
    expect(await countOf(flights(`SELECT ${row}`, "INT32"))).toBe(1n);
  });
  test("a value beyond 32 bits and a null are refused by name, and nothing is bound", async () => {
    const wide = row.replace("5 AS", "3000000000 AS");
    await expect(countOf(flights(`SELECT ${wide}`))).rejects.toMatchObject({
      id: "data-corrupt",
      message: "load flights: delay is 3000000000, which is beyond 32 bits",
    });
    const missing = row.replace("100 AS", "NULL::BIGINT AS");
    await expect(countOf(flights(`SELECT ${missing}`))).rejects.toThrow('load column "distance": null');
  });
});

describe("a service module", () => {
  test("exports a definition or makes one from the environment", async () => {
    const delay = await import("../../examples/flights/delay-service.ts");
    const network = await import("../../examples/flights/network-service.ts");
    expect(definitionOfModule(delay, "delay.ts", {}).service.typeName).toBe("flights.v1.DelayService");
    expect(definitionOfModule(network, "network.ts", {}).service.typeName).toBe("flights.v1.NetworkService");
  });
  test("that exports something else is refused with its name", () => {
    for (const module of [{}, null, { default: 7 }, { default: () => ({ methods: {} }) }]) {
      expect(() => definitionOfModule(module, "odd.ts", {})).toThrow('load service module "odd.ts"');
    }
    const delay = { default: delayFromEnvironment };
    expect(() => definitionOfModule(delay, "delay.ts", { DELAYED_FROM_MINUTES: "soon" })).toThrow(
      'DELAYED_FROM_MINUTES is "soon"',
    );
  });
});
