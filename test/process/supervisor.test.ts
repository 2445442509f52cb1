import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { systemClock } from "../../src/process/clock.ts";
import { lineLog } from "../../src/process/log-line.ts";
import { type SupervisedChild, superviseChild } from "../../src/process/supervisor.ts";

const SCRIPT = join(import.meta.dirname, "child/server.mjs");
/** A process of Node.js is there within a tenth of a second, and on a busy machine within seconds. */
const WAIT = { timeout: 20_000, interval: 20 };
const PARENT = join(import.meta.dirname, "child/parent.ts");

let directory: string;
let journal: string;
let lines: string[];
let children: SupervisedChild[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "skynetes-supervisor-"));
  journal = join(directory, "journal");
  lines = [];
  children = [];
});
afterEach(async () => {
  await Promise.all(children.map((child) => child.stop()));
  rmSync(directory, { recursive: true, force: true });
});

function supervise(mode = "", over: { readyTimeoutMs?: number; stopGraceMs?: number } = {}): SupervisedChild {
  const child = superviseChild(
    { name: "worker", argv: (last) => [SCRIPT, last?.address?.split(":")[1] ?? "0", journal, mode] },
    {
      clock: systemClock,
      log: lineLog({ write: (text) => lines.push(text), format: "human", clock: systemClock }),
      executable: process.execPath,
      readyTimeoutMs: over.readyTimeoutMs ?? 10_000,
      stopGraceMs: over.stopGraceMs ?? 2_000,
      onChange: () => {},
    },
  );
  children.push(child);
  return child;
}

async function ready(child: SupervisedChild, otherThan = -1) {
  return vi.waitFor(() => {
    const state = child.state();
    if (state.kind !== "ready" || state.pid === otherThan) throw new Error(state.kind);
    return state;
  }, WAIT);
}

const starts = () => readFileSync(journal, "utf8").match(/^start.*$/gm) ?? [];

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe("supervisor", () => {
  test("a child that is killed comes back on its old address", async () => {
    const child = supervise();
    const first = await ready(child);
    process.kill(first.pid, "SIGKILL");
    const second = await ready(child, first.pid);
    expect(second.pid).not.toBe(first.pid);
    expect(second.addresses).toEqual(first.addresses);
    expect(lines.join("")).toContain("killed by SIGKILL");
  });

  test("a child whose port was taken meanwhile comes back on another one", async () => {
    const child = supervise();
    const first = await ready(child);
    const port = Number(first.addresses.address!.split(":")[1]);
    const thief = createServer();
    const stolen = (async () => {
      for (;;) {
        try {
          thief.listen(port, "127.0.0.1");
          await once(thief, "listening");
          return;
        } catch {
          await new Promise((resolve) => setTimeout(resolve, 1));
        }
      }
    })();
    process.kill(first.pid, "SIGKILL");
    await stolen;
    const second = await ready(child, first.pid);
    expect(second.addresses).not.toEqual(first.addresses);
    thief.close();
  });

  test("a child that never becomes ready is killed and started again", async () => {
    const child = supervise("silent", { readyTimeoutMs: 1_500 });
    await vi.waitFor(() => expect(starts().length).toBeGreaterThan(1), WAIT);
    const [, first] = starts()[0]!.split(" ");
    await vi.waitFor(() => expect(alive(Number(first))).toBe(false), WAIT);
    expect(child.state().kind).not.toBe("ready");
    expect(lines.join("")).toContain("not ready after 1500 ms");
  });

  test("a child that says that its configuration is wrong is not started again and again", async () => {
    const child = supervise("misconfigured");
    const misconfigured = { kind: "down", reason: "no such table", isMisconfigured: true };
    await vi.waitFor(() => expect(child.state()).toEqual(misconfigured), WAIT);
    expect(lines.join("")).toContain("exit code 78; starting it again in 60000 ms");
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(starts()).toHaveLength(1);
  });

  test("stop ends the child by SIGTERM and it is not started again", async () => {
    const child = supervise();
    const { pid } = await ready(child);
    await child.stop();
    expect(alive(pid)).toBe(false);
    expect(child.state()).toEqual({ kind: "stopped" });
    expect(readFileSync(journal, "utf8")).toContain(`term ${pid}`);
    expect(starts()).toHaveLength(1);
  });

  test("a child that ignores SIGTERM is killed after the grace", async () => {
    const child = supervise("stubborn", { stopGraceMs: 300 });
    const { pid } = await ready(child);
    await child.stop();
    expect(alive(pid)).toBe(false);
    expect(lines.join("")).toContain("did not stop within 300 ms");
  });

  test("what a child writes is told on under its name", async () => {
    await ready(supervise());
    await vi.waitFor(() => expect(lines.join("")).toContain("plain words"), WAIT);
    expect(lines.join("")).toContain("[worker] hello from the child port=1\n");
  });

  test("a child ends when its parent is killed with kill -9", async () => {
    const parent = spawn(process.execPath, [PARENT, SCRIPT, journal], { stdio: ["ignore", "pipe", "inherit"] });
    const [chunk] = (await once(parent.stdout, "data")) as [Buffer];
    const pid = Number(chunk.toString().trim());
    expect(alive(pid)).toBe(true);
    parent.kill("SIGKILL");
    await vi.waitFor(() => expect(alive(pid)).toBe(false), WAIT);
  });
});
