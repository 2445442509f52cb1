import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openEmbeddedLogWriter } from "../../src/log/embedded/embedded-log-writer.ts";
import type { Manifest } from "../../src/manifest/manifest.ts";
import { systemClock } from "../../src/process/clock.ts";
import type { LineLog } from "../../src/process/log-line.ts";
import { ControlStore } from "../../src/up/control/control-store.ts";
import { dataDirectory } from "../../src/up/control/data-directory.ts";
import { takeManifest } from "../../src/up/control/wishes.ts";
import { startUp } from "../../src/up/up.ts";
import { manifestFixture, snapshotFixture, V1, V2 } from "./mesh-fixture.ts";

let root: string;
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), "skynetes-refused-"));
  const directory = dataDirectory(root);
  const before = manifestFixture({}, [snapshotFixture("a", V1)]);
  ControlStore.open(directory, before.mesh, 0).update((state) => takeManifest(state, before, 0));
  const writer = await openEmbeddedLogWriter(directory.log);
  await writer.createTopic("flights", 2);
  await writer.close();
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const quiet: LineLog = { line: () => {}, of: () => quiet };
const nothing = () => {};

const start = (manifest: Manifest) =>
  startUp({
    manifest,
    dataDirectory: root,
    host: "127.0.0.1",
    httpPort: 0,
    grpcPort: 0,
    controlPort: 0,
    script: "/app/skynetes.ts",
    clock: systemClock,
    environment: {},
    log: quiet,
    onSeedProgress: nothing,
    onServing: nothing,
    onFailure: nothing,
  });

describe("a start that is refused has changed no wish", () => {
  const moved = manifestFixture({}, [snapshotFixture("a", V2), snapshotFixture("b", V2)]);

  test.each([
    [
      "a binding to a version that the manifest lacks",
      { ...moved, versions: moved.versions.filter(({ name }) => name !== V2) },
      `snapshots are bound to versions that the manifest lacks: a: ${V2}`,
    ],
    [
      "a topic with another number of partitions",
      {
        ...moved,
        mesh: {
          ...moved.mesh,
          topics: [{ name: "flights", partitions: 4, format: "JSON", timestamps: "None", seed: undefined } as const],
        },
      },
      "it has 2 partitions, the manifest says 4",
    ],
  ])("%s", async (_, manifest, message) => {
    const text = () => readFileSync(dataDirectory(root).stateFile, "utf8");
    const before = text();
    await expect(start(manifest)).rejects.toThrow(message);
    expect(text()).toBe(before);
  });
});
