/** The flights mesh on a real broker, as its example starts it: one checked query on each snapshot, also without a node. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { check, checkedCalls } from "../../flights/checked-load.ts";
import { FlightsOracle } from "../../flights/flights-oracle.ts";
import { MeshProcess } from "../../flights/mesh-process.ts";
import { KafkaBroker } from "./kafka-broker.ts";

const dataDirectory = mkdtempSync(join(tmpdir(), "skynetes-mesh-kafka-"));
let broker: KafkaBroker | undefined;
let mesh: MeshProcess | undefined;
const oracle = await FlightsOracle.open();

afterAll(async () => {
  await mesh?.stop();
  await broker?.close();
  oracle.close();
  rmSync(dataDirectory, { recursive: true, force: true });
});

test("starts with a broker's address, takes the kill of a node and the restart of the broker while it loads, and answers", async () => {
  broker = await KafkaBroker.start();
  process.env.SKYNETES_KAFKA_BROKERS = broker.plain;
  mesh = await MeshProcess.start("examples/flights/mesh-kafka.yaml", dataDirectory);
  const serving = mesh.serving(500_000);
  const started = Date.now();
  while (mesh.children().every(({ command }) => !/skynetes\.ts node /.test(command))) {
    expect(Date.now() - started, mesh.output).toBeLessThan(120_000);
    await new Promise((wake) => setTimeout(wake, 100));
  }
  await new Promise((wake) => setTimeout(wake, 3_000));
  const node = mesh.children().find(({ command }) => /skynetes\.ts node /.test(command));
  if (node !== undefined) process.kill(node.pid, "SIGKILL");
  await broker.stop();
  await broker.restart();
  await serving;
  const calls = await checkedCalls(oracle, []);
  const oneOfEach = [...new Map(calls.map((call) => [`${call.snapshot} ${call.call}`, call])).values()];
  expect(oneOfEach.map(({ snapshot }) => snapshot)).toContain("q1-2001");
  for (const call of oneOfEach) expect(await check(mesh.url, call)).toMatchObject({ kind: "right" });
  expect(await mesh.stop()).toBe(0);
}, 700_000);
