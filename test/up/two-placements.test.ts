/** Two placements of every shard, as real processes: one may go at any time, and no strict query fails. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { childrenOf, makeFlights, type RunningMesh, skynetes, startUp, writeSmallMesh } from "./small-mesh.ts";
import { StrictLoad, strictSubjects } from "./strict-load.ts";

const FLIGHTS = makeFlights(4_000);
const BOTH = ["node-a", "node-b"];
const directory = mkdtempSync(join(tmpdir(), "skynetes-two-"));
const data = join(directory, "data");
let mesh: RunningMesh;

beforeAll(async () => {
  const placements = [BOTH, BOTH, BOTH, BOTH];
  mesh = await startUp(writeSmallMesh(directory, FLIGHTS, ["january", "all"], { placements }), data);
}, 180_000);

afterAll(async () => {
  mesh?.process.kill("SIGTERM");
  await mesh?.exited;
  rmSync(directory, { recursive: true, force: true });
});

const processesOf = (node: string) =>
  childrenOf(mesh.pid).filter(({ command }) => command.includes(` --node ${node} `));

/** The mesh has nothing more to do and waits for nothing: what was lost is bound, verified and routed to again. */
async function settled(): Promise<void> {
  await vi.waitFor(
    async () =>
      expect((await skynetes("snapshot", "plan", "--data-dir", data)).stdout).toMatch(
        /^now\n {2}nothing\nwaiting\n {2}nothing$/m,
      ),
    { timeout: 60_000, interval: 200 },
  );
}

test("a node is lost with its services, again and again, under strict queries: none fails, all are right", async () => {
  const load = new StrictLoad(() => mesh.http, strictSubjects(FLIGHTS), 3);
  await load.answered(50);
  for (const node of ["node-a", "node-b", "node-a"]) {
    const lost = processesOf(node);
    expect(lost.length).toBe(3);
    for (const { pid } of lost) process.kill(pid, "SIGKILL");
    await load.answered(30);
    await vi.waitFor(() => expect(processesOf(node)).toHaveLength(3), { timeout: 20_000 });
    await settled();
    await load.answered(30);
  }
  await load.stop();
  expect([load.failed.length, load.failed.slice(0, 3)]).toEqual([0, []]);
}, 180_000);
