import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DelayService } from "../../examples/flights/generated/flights/v1/delay_pb.ts";
import { directFiles } from "../../src/archive/direct-files.ts";
import type { RunningGateway } from "../../src/gateway/gateway-config.ts";
import { startGateway } from "../../src/gateway/start-gateway.ts";
import { systemClock, systemRandomness } from "../../src/process/clock.ts";
import { writeSeal } from "../../src/seal/seal-file.ts";
import { BindingService } from "../../src/wire/generated/skynetes/v1/binding_pb.ts";
import { GatewayAdminService } from "../../src/wire/generated/skynetes/v1/gateway_admin_pb.ts";
import { SealSchema } from "../../src/wire/generated/skynetes/v1/seal_pb.ts";
import { unaryClient } from "../../src/wire/grpc-service.ts";
import { inTemporaryDirectory, type Served, served, VERSION } from "../service/running.ts";
import { scripted, writeSmallShard } from "../service/small-flights.ts";
import { meshDefaults } from "./scripted-mesh.ts";

/** The gateway against the real service kit: ranks, bounds, stamps and streams as services send them. */
const SHARDS = [0, 1, 2, 3];
type Group = { readonly destination: string; readonly flights: bigint; readonly totalDelayMinutes: bigint };
let groups: readonly (readonly Group[])[] = SHARDS.map(() => []);

let service: Served;
let gateway: RunningGateway;
let finish = () => {};
let finished: Promise<unknown>;
beforeAll(async () => {
  await new Promise<void>((ready, failed) => {
    finished = inTemporaryDirectory(async (directory) => {
      await start(directory);
      ready();
      await new Promise<void>((done) => {
        finish = done;
      });
    }).catch(failed);
  });
});
afterAll(async () => {
  await gateway.close();
  await service.close();
  finish();
  await finished;
});

async function start(directory: string): Promise<void> {
  service = await served(
    scripted({
      topDestinations: (request, _rows, { shard }) => ({
        destinations: groups[shard]!.filter(
          (g) => request.only.length === 0 || request.only.includes(g.destination),
        ).map((g) => ({ ...g })),
      }),
      search: (_request, rows, { shard }) =>
        Array.from({ length: rows }, (_, i) => ({
          time: timestampFromMs((i * 4 + shard) * 1000),
          origin: "LAX",
          destination: "SFO",
        })),
    }),
  );
  const shards = [];
  for (const shard of SHARDS) {
    const files = await writeSmallShard(join(directory, `shard-${shard}`), shard);
    await service.bind(files);
    shards.push(files);
  }
  const describeService = unaryClient(BindingService, service.service.address);
  const { descriptors } = await describeService.describe({}, { timeoutMs: 5_000 });
  describeService.close();
  const cut = { positions: [{ topic: "flights", topicId: "x", partition: 0, position: 1n }] };
  const seal = create(SealSchema, {
    mesh: "test",
    snapshot: "s1",
    shards: SHARDS.length,
    cut,
    shardSeals: shards.map(({ shard, stateDigest }) => ({ shard, stateDigest, rows: 10n })),
  });
  const sealSha256 = await writeSeal(directFiles(directory), seal);
  gateway = await startGateway({
    name: "g",
    listen: { host: "127.0.0.1", httpPort: 0, grpcPort: 0, adminPort: 0 },
    archiveDirectory: directory,
    // The groups change under one state digest, which no real shard's do.
    limits: { drainMs: 100, cacheBytesMax: 0 },
    clock: systemClock,
    randomness: systemRandomness,
  });
  const admin = unaryClient(GatewayAdminService, gateway.adminAddress);
  const table = {
    mesh: "test",
    epoch: 1n,
    shards: SHARDS.map((shard) => ({
      shard,
      placements: [{ node: "node-a", endpoints: [{ version: VERSION, address: service.service.address }] }],
    })),
    versions: [{ name: VERSION, service: DelayService.typeName, descriptors, converse: meshDefaults.converse }],
    snapshots: [{ id: "s1", sealSha256, cut, bindings: [{ service: DelayService.typeName, version: VERSION }] }],
    latest: [{ service: DelayService.typeName, snapshot: "s1" }],
  };
  expect(await admin.verifyRoutes({ table }, { timeoutMs: 10_000 })).toMatchObject({ verified: true, failures: [] });
  await admin.applyTable({ table }, { timeoutMs: 10_000 });
  admin.close();
}

async function ask(method: string, body: unknown): Promise<string> {
  const response = await fetch(`http://${gateway.httpAddress}/v1/snapshots/latest/flights.v1.DelayService/${method}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  expect(response.status, text).toBe(200);
  return text;
}

describe("the gateway over the service kit", () => {
  test("top groups that span shards are exact in every order, with limit and offset", async () => {
    const group = fc.record({
      destination: fc.integer({ min: 0, max: 60 }).map((n) => `D${n}`),
      flights: fc.bigInt({ min: 1n, max: 40n }),
      totalDelayMinutes: fc.bigInt({ min: -500n, max: 500n }),
    });
    const shard = fc.uniqueArray(group, { selector: (g) => g.destination, maxLength: 60 });
    const orders = fc.constantFrom("ORDER_FLIGHTS", "ORDER_TOTAL_DELAY", "ORDER_MEAN_DELAY");
    await fc.assert(
      fc.asyncProperty(
        fc.tuple(shard, shard, shard, shard),
        orders,
        fc.nat(12),
        fc.nat(8),
        async (data, order, limit, offset) => {
          groups = data;
          const { answer } = JSON.parse(await ask("TopDestinations", { order, limit, offset }));
          const shown = answer.destinations.map((d: Record<string, unknown>) => [
            d.destination,
            d.flights,
            d.totalDelayMinutes,
          ]);
          expect(shown).toEqual(expectedTop(data, order, limit, offset));
        },
      ),
      { numRuns: 120 },
    );
  });

  test("a thousand groups of each shard travel as columns, and are the same answer", async () => {
    groups = SHARDS.map((shard) =>
      Array.from({ length: 1_000 }, (_, i) => ({
        destination: `D${(i * 7 + shard * 400) % 2_500}`,
        flights: BigInt((i % 17) + 1),
        totalDelayMinutes: BigInt(i - 500) * (i % 5 === 0 ? 2n ** 50n : 1n),
      })),
    );
    const profiled = JSON.parse(await ask("TopDestinations?explain=profile", { order: "ORDER_MEAN_DELAY" }));
    const shown = profiled.answer.destinations.map((d: Record<string, unknown>) => [
      d.destination,
      d.flights,
      d.totalDelayMinutes,
    ]);
    expect(shown.length).toBeGreaterThan(1_000);
    expect(shown).toEqual(expectedTop(groups, "ORDER_MEAN_DELAY", 0, 0));
  });

  test("rows of all shards stream in order, and the kit stops at the limit", async () => {
    const lines = (await ask("Search", { limit: 7, offset: 2 }))
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines.slice(0, -1).map((row) => Date.parse(row.time) / 1000)).toEqual([2, 3, 4, 5, 6, 7, 8]);
    expect(lines.at(-1)).toMatchObject({ $end: { completeness: { complete: true } } });
  });

  test("a snapshot that a process lost is a clear fault", async () => {
    await service.binding.unbind({ snapshot: "s1", shard: 3 }, { timeoutMs: 5_000 });
    const response = await fetch(`http://${gateway.httpAddress}/v1/snapshots/s1/flights.v1.DelayService/Summarize`, {
      method: "POST",
    });
    expect(await response.json()).toMatchObject({
      type: "https://skynetes.io/problems/snapshot-not-bound",
      shard: 3,
      retryable: true,
    });
  });
});

function expectedTop(data: readonly (readonly Group[])[], order: string, limit: number, offset: number): unknown[] {
  const sums = new Map<string, { flights: bigint; total: bigint }>();
  for (const { destination, flights, totalDelayMinutes } of data.flat()) {
    const sum = sums.get(destination) ?? { flights: 0n, total: 0n };
    sums.set(destination, { flights: sum.flights + flights, total: sum.total + totalDelayMinutes });
  }
  const value = ({ flights, total }: { flights: bigint; total: bigint }) =>
    order === "ORDER_FLIGHTS"
      ? Number(flights)
      : order === "ORDER_TOTAL_DELAY"
        ? Number(total)
        : Number(total) / Number(flights);
  return [...sums]
    .sort(([a, x], [b, y]) => value(y) - value(x) || (a < b ? -1 : 1))
    .slice(offset, limit === 0 ? undefined : offset + limit)
    .map(([destination, { flights, total }]) => [destination, String(flights), String(total)]);
}
