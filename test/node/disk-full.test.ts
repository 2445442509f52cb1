import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { DuckDBConnection } from "@duckdb/node-api";
import { afterEach, describe, expect, test, vi } from "vitest";
import { ShardDirectory } from "../../src/node/snapshot/shard-directory.ts";
import { isTemporaryName } from "../../src/process/durable-file.ts";
import { bindingFake } from "./binding-fake.ts";
import { testDirectory } from "./node-fixture.ts";
import { cutAt, filledLog, runningNode } from "./small-mesh.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

/** Statements that begin so fail while the disk is full, as DuckDB's do; `full.is` says whether it is. */
function fullDisk(statement: string): { is: boolean } {
  const full = { is: true };
  const run = DuckDBConnection.prototype.run;
  vi.spyOn(DuckDBConnection.prototype, "run").mockImplementation(async function (this: DuckDBConnection, ...call) {
    // What it wrote before the disk was full stays where it is.
    const isDone = !full.is || !call[0].startsWith(statement) ? run.apply(this, call) : undefined;
    if (isDone !== undefined) return isDone;
    if (statement === "COPY") await run.apply(this, call);
    throw new Error("IO Error: Could not write file: No space left on device");
  });
  return full;
}

async function segmentFiles(directory: string): Promise<string[]> {
  return readdir(join(directory, "shard-0", "segments"));
}

describe("a full disk", () => {
  test("pauses ingest with an alarm while reads go on; there is space again, and ingest goes on by itself", async () => {
    const log = filledLog(100);
    const node = await runningNode(await testDirectory(), log, { shards: [0] });
    const frozen = await node.freeze("before", 0, cutAt(100));
    const full = fullDisk("COMMIT");
    log.append("events", 0, [{ value: '{"id":1}' }]);
    const { alarm } = await node.until(
      () => node.shardStatus(0),
      (status) => status.alarm !== "",
    );
    expect(alarm).toContain("store-failed");
    expect(alarm).toContain("No space left on device");
    const { address, binds } = await bindingFake();
    await node.bind("before", 0, address);
    expect(binds).toHaveLength(1);
    expect(await node.freeze("before", 0, cutAt(100))).toEqual(frozen);

    full.is = false;
    const after = await node.freeze("after", 0, cutAt(104));
    expect(after.manifest!.tables[0]!.rows).toBe(91n);
    expect((await node.shardStatus(0)).alarm).toBe("");
  });

  test("a freeze fails cleanly and leaves no half file; asked again, it succeeds", async () => {
    const node = await runningNode(await testDirectory(), filledLog(100), { shards: [0] });
    await node.freeze("ready", 0, cutAt(50));
    const before = await segmentFiles(node.directory);
    const full = fullDisk("COPY");
    await expect(node.freeze("s", 0, cutAt(100))).rejects.toMatchObject({ id: "store-failed" });
    expect(await segmentFiles(node.directory)).toEqual(before);
    full.is = false;
    expect((await node.freeze("s", 0, cutAt(100))).manifest!.tables[0]!.rows).toBe(90n);
  });

  test.each(["adoptSegment", "writeManifest"] as const)(
    "that shows in %s is no snapshot and can be tried again",
    async (step) => {
      const node = await runningNode(await testDirectory(), filledLog(100), { shards: [0] });
      const full = Object.assign(new Error("ENOSPC: no space left on device, write"), {
        code: "ENOSPC",
        syscall: "write",
      });
      vi.spyOn(ShardDirectory.prototype, step).mockRejectedValueOnce(full);
      await expect(node.freeze("s", 0, cutAt(100))).rejects.toMatchObject({ id: "store-failed" });
      expect((await segmentFiles(node.directory)).filter(isTemporaryName)).toEqual([]);
      expect((await node.shardStatus(0)).frozen).toEqual([]);
      expect((await node.freeze("s", 0, cutAt(100))).manifest!.tables[0]!.rows).toBe(90n);
    },
  );
});
