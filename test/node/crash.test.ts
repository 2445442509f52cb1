import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { startNode } from "../../src/node/start-node.ts";
import { CRASH_POINTS } from "../../src/process/crash-point.ts";
import { sha256Of } from "../../src/process/file-digest.ts";
import { NodeAgentService } from "../../src/wire/generated/skynetes/v1/node_agent_pb.ts";
import { unaryClient } from "../../src/wire/grpc-service.ts";
import { testDirectory } from "./node-fixture.ts";
import { agentCalls, cutAt, filledLog, nodeConfig } from "./small-mesh.ts";

const EVENTS = 2_000;

/** What the driver of a mesh would do, from any state; ends with one snapshot of each shard, and what the log says. */
async function drive(calls: ReturnType<typeof agentCalls>): Promise<string[]> {
  for (const shard of [0, 1]) await calls.host(shard);
  await calls.freeze("early", 0, cutAt(EVENTS / 2));
  await calls.freeze("middle", 0, cutAt((EVENTS * 3) / 4));
  await calls.drop("early");
  for (const shard of [0, 1]) await calls.freeze("late", shard, cutAt(EVENTS + 3));
  const derived = await calls.rederive(0, cutAt(EVENTS + 3));
  // Both come back from the archive, each on an empty directory.
  await calls.remove(1);
  await calls.host(1);
  await calls.rebuild(0, []);
  const digests: string[] = [derived.stateDigest];
  for (const shard of [0, 1]) {
    const { manifest } = await calls.freeze("late", shard, cutAt(EVENTS + 3));
    digests.push(manifest!.stateDigest, String(manifest!.rejected));
  }
  await calls.drop("middle");
  return digests;
}

/** What a node comes to that nobody disturbs. */
let expected: string[];

beforeAll(async () => {
  const directory = await mkdtemp(join(tmpdir(), "skynetes-node-"));
  const running = await startNode(nodeConfig(directory, filledLog(EVENTS)));
  const agent = unaryClient(NodeAgentService, running.address);
  expected = await drive(agentCalls(agent));
  agent.close();
  await running.close();
  await rm(directory, { recursive: true });
});

async function child(directory: string, crashAt?: string) {
  const script = join(import.meta.dirname, "child-node.ts");
  const spawned: ChildProcess = spawn(process.execPath, [script, directory, String(EVENTS)], {
    env: { ...process.env, ...(crashAt === undefined ? {} : { SKYNETES_CRASH_AT: crashAt }) },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(spawned, "exit");
  onTestFinished(async () => {
    spawned.kill("SIGKILL");
    await exited;
  });
  const line = await Promise.race([once(createInterface(spawned.stdout!), "line"), exited]);
  // It may die at its crash point before it is ready.
  const ready = spawned.signalCode === null && typeof line[0] === "string" && line[0].startsWith("{");
  const agent = ready ? unaryClient(NodeAgentService, JSON.parse(line[0] as string).ready.address) : undefined;
  onTestFinished(() => agent?.close());
  return { process: spawned, exited, calls: agent && agentCalls(agent) };
}

async function leavings(directory: string): Promise<string[]> {
  const names = await readdir(directory, { recursive: true });
  return names.filter((name) => name.endsWith(".tmp") || name.endsWith(".doomed"));
}

/** What a node says is frozen is sealed by others from the archive: they would wait for ever for what is not there. */
async function frozenWithoutArchive(directory: string, calls: ReturnType<typeof agentCalls>): Promise<string[]> {
  const missing: string[] = [];
  for (const shard of [0, 1]) {
    for (const { snapshot, manifestSha256 } of (await calls.shardStatus(shard)).frozen) {
      const path = join(directory, "archive", "shards", String(shard), snapshot);
      const files = await readdir(path).catch(() => []);
      const digests = await Promise.all(files.map(async (file) => sha256Of(await readFile(join(path, file)))));
      if (!digests.includes(manifestSha256)) missing.push(path);
    }
  }
  return missing;
}

test.each(CRASH_POINTS)("killed at %s, a node comes to the state of one that was left alone", async (point) => {
  const directory = await testDirectory();
  const first = await child(directory, point);
  await first.calls?.freeze("early", 0, cutAt(EVENTS / 2)).catch(() => {});
  if (first.process.signalCode === null) await drive(first.calls!).catch(() => {});
  await first.exited;
  expect(first.process.signalCode, `crash point ${point} was never passed`).toBe("SIGKILL");

  const second = await child(directory);
  expect(await frozenWithoutArchive(directory, second.calls!)).toEqual([]);
  expect(await drive(second.calls!)).toEqual(expected);
  expect(await leavings(join(directory, "nodes"))).toEqual([]);
});

test("killed again and again at any moment, a node comes to the same state", async () => {
  const directory = await testDirectory();
  for (const ms of [0, 3, 8, 15, 25, 40, 60, 90]) {
    const { process: spawned, exited, calls } = await child(directory);
    const driven = drive(calls!).catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, ms));
    spawned.kill("SIGKILL");
    await Promise.all([exited, driven]);
  }
  const last = await child(directory);
  expect(await drive(last.calls!)).toEqual(expected);
});
