import { spawn } from "node:child_process";
import { resolve } from "node:path";
import { createInterface } from "node:readline";
import { expect, test } from "vitest";
import { DelayService } from "../../examples/flights/generated/flights/v1/delay_pb.ts";
import { parseReady, type ReadyAddresses } from "../../src/process/ready-line.ts";
import { ShardCaller } from "../service/shard-caller.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const VERSION = "delay-v1-00000001";

test("skynetes service --access-log writes a line for every call, refused ones too", async () => {
  const argv = ["service", "--module", "examples/flights/delay-service.ts", "--version", VERSION, "--access-log"];
  const child = spawn(resolve(ROOT, "bin/skynetes"), argv, {
    cwd: ROOT,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, SKYNETES_LOG_FORMAT: "json" },
  });
  const exited = new Promise((done) => child.once("exit", done));
  try {
    const { address } = parseReady(await firstLine(child.stdout, () => true)) as ReadyAddresses;
    const caller = new ShardCaller(address as string);
    const target = { version: VERSION, shard: 3, snapshot: "s1" };
    await caller.call(DelayService.method.summarize, {}, target).catch(() => {});
    caller.close();
    expect(JSON.parse(await firstLine(child.stderr, (line) => line.includes('"part":"access"')))).toMatchObject({
      message: "flights.v1.DelayService/Summarize",
      transport: "unary",
      shard: 3,
      snapshot: "s1",
      code: "FAILED_PRECONDITION",
      fault: "snapshot-not-bound",
    });
  } finally {
    child.kill();
    await exited;
  }
});

async function firstLine(from: NodeJS.ReadableStream, isIt: (line: string) => boolean): Promise<string> {
  for await (const line of createInterface({ input: from })) if (isIt(line)) return line;
  throw new Error("it ended without a line");
}
