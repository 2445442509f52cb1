import { describe, expect, test } from "vitest";
import { Fault } from "../../src/fault/fault.ts";
import { IngestStatus } from "../../src/node/ingest/ingest-status.ts";
import { startTelemetry } from "../../src/telemetry/start-telemetry.ts";
import { VirtualClock } from "../process/virtual-clock.ts";
import { testDirectory } from "./node-fixture.ts";
import { filledLog, runningNode } from "./small-mesh.ts";

const at = (position: bigint) => ({ topic: "events", topicId: "id", partition: 0, position });

describe("how far a partition is behind its log", () => {
  test("is nothing while all that is read is committed, and grows from the last read that this is true of", () => {
    const clock = new VirtualClock();
    const status = new IngestStatus([at(5n)], 0n, clock);
    const lag = () => status.lags.map(({ records, behindMs, bound }) => [records, behindMs, bound])[0];
    clock.hold(100);
    expect(lag()).toEqual([0n, 100, undefined]);
    status.read("events", 0, 5n);
    expect(lag()).toEqual([0n, 0, 5n]);
    clock.hold(50);
    status.read("events", 0, 20n);
    clock.hold(50);
    status.committed(at(15n), undefined);
    expect(lag()).toEqual([5n, 100, 20n]);
    clock.hold(50);
    // What the log has got since it was read 100 ms ago is not known.
    status.committed(at(20n), undefined);
    expect(lag()).toEqual([0n, 100, 20n]);
    status.read("events", 0, 20n);
    expect(lag()).toEqual([0n, 0, 20n]);
  });

  test("grows while the log cannot be reached, and of a partition that never was read", () => {
    const clock = new VirtualClock();
    const status = new IngestStatus([], 0n, clock);
    status.troubled("events", 0, new Fault("log-unavailable", "no broker"));
    status.read("events", 1, 0n);
    clock.hold(7_000);
    expect(status.lags.map(({ partition, behindMs }) => [partition, behindMs])).toEqual([
      [0, 7_000],
      [1, 7_000],
    ]);
  });
});

test("a node tells it for each partition, in its status and in its metrics", async () => {
  const telemetry = startTelemetry({ serviceName: "skynetes-node", instance: "node-a", environment: {} });
  const node = await runningNode(await testDirectory(), filledLog(10), { telemetry });
  const status = await node.until(
    () => node.shardStatus(1),
    ({ lags }) => lags.length === 2 && lags.every(({ bound, position }) => bound !== undefined && position === bound),
  );
  const places = status.lags.map(({ topic, partition, position }) => [topic, partition, position]);
  expect(places.sort()).toEqual([
    ["events", 1, 13n],
    ["places", 0, 4n],
  ]);
  const text = await telemetry.prometheusText();
  const of = (name: string) =>
    new RegExp(`^${name}\\{shard="1",topic="events",partition="1",.*\\} (.*)$`, "m").exec(text)?.[1];
  expect(of("skynetes_ingest_bound")).toBe("13");
  expect(of("skynetes_ingest_position")).toBe("13");
  expect(of("skynetes_ingest_lag_records")).toBe("0");
  expect(Number(of("skynetes_ingest_behind_seconds"))).toBeGreaterThanOrEqual(0);
  expect(text).toMatch(/^skynetes_ingest_held_bytes\{.*\} \d+$/m);
  await telemetry.close();
});
