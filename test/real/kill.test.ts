/**
 * Fifty kills -9 of node agents, services and gateway, at random moments: the first while the mesh loads its data, the
 * others under a continuous load of checked queries.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { request } from "undici";
import { afterAll, expect, test } from "vitest";
import { CheckedLoad, check, checkedCalls } from "../flights/checked-load.ts";
import { FlightsOracle } from "../flights/flights-oracle.ts";
import { MeshProcess } from "../flights/mesh-process.ts";

const SNAPSHOTS = ["q1-2001", "h1-2001"];
const MANIFEST = "examples/flights/mesh.yaml";
const KILLS_WHILE_LOADING = 10;
const KILLS_UNDER_LOAD = 40;
const BACK_WITHIN_MS = 10_000;

const disturbed = mkdtempSync(join(tmpdir(), "skynetes-kill-"));
const undisturbed = mkdtempSync(join(tmpdir(), "skynetes-calm-"));
const meshes: MeshProcess[] = [];
const oracle = await FlightsOracle.open();

afterAll(async () => {
  for (const mesh of meshes) await mesh.stop();
  oracle.close();
  for (const folder of [disturbed, undisturbed]) rmSync(folder, { recursive: true, force: true });
});

/** mulberry32: a failed run says its seed, and the seed repeats its choices. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const ROLES = { node: /skynetes\.ts node /, service: /skynetes\.ts service /, gateway: /skynetes\.ts gateway / };

async function digests(mesh: MeshProcess): Promise<unknown> {
  const all: Record<string, unknown> = {};
  for (const id of SNAPSHOTS) {
    const { body } = await request(`${mesh.url}/v1/snapshots/${id}`);
    const { seal } = (await body.json()) as { seal: { shardSeals: { shard: number; stateDigest: string }[] } };
    all[id] = seal.shardSeals.map((shard) => [shard.shard ?? 0, shard.stateDigest]);
  }
  return all;
}

const pause = (ms: number) => new Promise((wake) => setTimeout(wake, ms));

test("fifty kills: no wrong answer, only clear errors, back within ten seconds, equal state digests", async () => {
  const seed = Number(process.env.SKYNETES_SEED ?? Date.now() % 1_000_000);
  const random = randomFrom(seed);
  console.log(`seed ${seed} (repeat with SKYNETES_SEED=${seed})`);

  const mesh = await MeshProcess.start(MANIFEST, disturbed);
  meshes.push(mesh);
  const kill = (roles: (keyof typeof ROLES)[]) => {
    const role = roles[Math.floor(random() * roles.length)] as keyof typeof ROLES;
    const candidates = mesh.children().filter((child) => ROLES[role].test(child.command));
    const victim = candidates[Math.floor(random() * candidates.length)];
    if (victim !== undefined) process.kill(victim.pid, "SIGKILL");
    return victim === undefined ? undefined : role;
  };

  // While loading: the moments when a node has half a batch, half a segment or half a manifest.
  let killed = 0;
  const loading = mesh.serving(400_000);
  let isLoading = true;
  loading.finally(() => {
    isLoading = false;
  });
  while (killed < KILLS_WHILE_LOADING && isLoading) {
    await pause(300 + random() * 2_500);
    if (isLoading && kill(["node", "node", "service", "gateway"]) !== undefined) killed += 1;
  }
  await loading;

  const calls = await checkedCalls(oracle, await oracle.airports());
  const oneOfEach = [...new Map(calls.map((call) => [`${call.snapshot} ${call.call}`, call])).values()];
  const load = new CheckedLoad(() => mesh.url, calls, 2);
  const backAfterMs: number[] = [];
  const byRole = new Map<string, number>();
  while (killed < KILLS_WHILE_LOADING + KILLS_UNDER_LOAD) {
    await pause(random() * 1_500);
    const role = kill(["node", "service", "service", "gateway"]);
    if (role === undefined) continue;
    killed += 1;
    byRole.set(role, (byRole.get(role) ?? 0) + 1);
    const killedAt = performance.now();
    // Back means that every service answers again at both snapshots, on every shard.
    for (const call of oneOfEach) {
      while ((await check(mesh.url, call)).kind !== "right") {
        const waited = performance.now() - killedAt;
        expect(waited, `${role} killed, ${call.call} still away\n${mesh.output.slice(-4_000)}`).toBeLessThan(
          BACK_WITHIN_MS,
        );
        await pause(50);
      }
    }
    backAfterMs.push(performance.now() - killedAt);
  }
  await load.stop();

  expect(load.wrong.slice(0, 5)).toEqual([]);
  expect(load.total).toBeGreaterThan(500);
  backAfterMs.sort((a, b) => a - b);
  console.log(
    `${killed} kills (${JSON.stringify(Object.fromEntries(byRole))} under load): ${load.total} right answers, ` +
      `errors ${JSON.stringify(Object.fromEntries(load.errors))}; back after median ` +
      `${Math.round(backAfterMs[backAfterMs.length >> 1] as number)} ms, at most ${Math.round(backAfterMs.at(-1) as number)} ms`,
  );

  const after = await digests(mesh);
  expect(await mesh.stop()).toBe(0);
  const calm = await MeshProcess.start(MANIFEST, undisturbed);
  meshes.push(calm);
  await calm.serving(240_000);
  expect(after).toEqual(await digests(calm));
}, 1_200_000);
