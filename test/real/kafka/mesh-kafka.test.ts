/** The flights mesh on a real broker, as its example starts it: one checked query on each snapshot, also without a node. */
import { globSync, mkdtempSync, rmSync, statSync } from "node:fs";
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

/** The first node that has a megabyte in its stores: in the middle of the load. */
async function nodeThatIngests(running: MeshProcess): Promise<number> {
  const late = Date.now() + 300_000;
  for (;;) {
    for (const { pid, command } of running.children()) {
      const [, name] = / node .*--node (\S+)/.exec(command) ?? [];
      if (name !== undefined && storedBytes(join(dataDirectory, "nodes", name)) > 1 << 20) return pid;
    }
    if (Date.now() > late) throw new Error(`no node ever ingested:\n${running.output}`);
    await new Promise((wake) => setTimeout(wake, 50));
  }
}

/** Of its databases and what these have not folded in yet. */
function storedBytes(directory: string): number {
  return globSync(join(directory, "shard-*", "ingest.duckdb*"))
    .map((path) => statSync(path, { throwIfNoEntry: false })?.size ?? 0)
    .reduce((sum, size) => sum + size, 0);
}

test("starts with a broker's address, takes the kill of a node and the restart of the broker while it loads, and answers", async () => {
  broker = await KafkaBroker.start();
  process.env.SKYNETES_KAFKA_BROKERS = broker.plain;
  mesh = await MeshProcess.start("examples/flights/mesh-kafka.yaml", dataDirectory);
  const serving = mesh.serving(500_000);
  const killed = await nodeThatIngests(mesh);
  process.kill(killed, "SIGKILL");
  await broker.stop();
  await broker.restart();
  await serving;
  const calls = await checkedCalls(oracle, []);
  const oneOfEach = [...new Map(calls.map((call) => [`${call.snapshot} ${call.call}`, call])).values()];
  expect(oneOfEach.map(({ snapshot }) => snapshot)).toContain("q1-2001");
  for (const call of oneOfEach) expect(await check(mesh.url, call)).toMatchObject({ kind: "right" });
  expect(await mesh.stop()).toBe(0);
}, 700_000);
