/** What a manifest or a service may have wrong that only a started process finds. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { request } from "undici";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { templateHash } from "../../src/manifest/value/template-hash.ts";
import { childrenOf, makeFlights, type RunningMesh, startUp, V2, writeSmallMesh } from "./small-mesh.ts";

const DELAY = "flights.v1.DelayService";

let directory: string;
let file: string;
let text: string;
let mesh: RunningMesh | undefined;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "skynetes-refusals-"));
  file = writeSmallMesh(directory, makeFlights(6_000));
  text = readFileSync(file, "utf8");
});
afterAll(async () => {
  mesh?.process.kill("SIGTERM");
  await mesh?.exited;
  rmSync(directory, { recursive: true, force: true });
});

async function stop(): Promise<void> {
  mesh?.process.kill("SIGTERM");
  await mesh?.exited;
  mesh = undefined;
}

async function january(): Promise<unknown> {
  const { body } = await request(`${mesh?.http}/v1/snapshots/january/${DELAY}/Summarize`, {
    method: "POST",
    headers: { "content-type": "application/json", "cache-control": "no-cache" },
    body: "{}",
  });
  return body.json();
}

/** Version 2 is built of this module instead; `forAll`: it answers at every snapshot. */
function withModule(source: string, forAll = false): string {
  const module = join(directory, "broken.ts");
  writeFileSync(module, source);
  const template = { module, env: { DELAYED_FROM_MINUTES: "15" } };
  const documents = text
    .split("---\n")
    .filter((document) => document !== "")
    .map((document) => JSON.parse(document));
  for (const { kind, metadata, spec } of documents) {
    if (metadata.name === V2) spec.template = template;
    if (kind === "Snapshot" && forAll) spec.bindings = [{ service: DELAY, version: V2 }];
  }
  const all = documents.map((document) => `---\n${JSON.stringify(document)}\n`).join("");
  return all.replaceAll(V2, `delay-v2-${templateHash(template)}`);
}

describe("what only a started process finds", () => {
  test("a service that cannot be loaded fails its snapshots; the mesh is there for the others", async () => {
    writeFileSync(file, withModule("export default {{"));
    mesh = await startUp(file, join(directory, "broken"));
    expect(mesh.stderr()).toMatch(/^ {2}all +fails: delay-v2-\w+ on node-[ab]: load service module .*broken\.ts/m);
    expect(await january()).toMatchObject({ answer: { flights: "744" } });
    expect(mesh.stderr().match(/ended: exit code 78/g)?.length).toBeLessThanOrEqual(2);
    await stop();
  }, 120_000);

  test("a snapshot that kills its service leaves the version's other snapshots served", async () => {
    const delay = join(import.meta.dirname, "../../examples/flights/delay-service.ts");
    const source = `
      import make from ${JSON.stringify(delay)};
      const service = make({ DELAYED_FROM_MINUTES: "1" });
      // More than all shards of january together.
      const isAll = ({ tables }) => tables.find(({ name }) => name === "flights").rows > 800n;
      const load = (snapshot) => (isAll(snapshot) ? process.exit(9) : service.load(snapshot));
      export default { ...service, load };
    `;
    writeFileSync(file, withModule(source, true));
    mesh = await startUp(file, join(directory, "killing"));
    expect(mesh.stderr()).toMatch(/^ {2}all +fails: .*its process died 2 times while it loaded this snapshot/m);
    const started = mesh.stderr().match(/exit code 9/g)?.length;
    expect(await january()).toMatchObject({ answer: { flights: "744" } });
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    expect(mesh.stderr().match(/exit code 9/g)?.length).toBe(started);
    expect(await january()).toMatchObject({ answer: { flights: "744" } });
    await stop();
  }, 120_000);

  test("a manifest that the nodes cannot open their data by ends the start with 78, and says why", async () => {
    writeFileSync(file, text);
    const data = join(directory, "data");
    mesh = await startUp(file, data);
    writeFileSync(file, text.replace(/("distance",\s*"type": )"INT64"/, '$1"INT32"'));
    expect(readFileSync(file, "utf8")).not.toBe(text);
    // A node that starts anew goes by what the mesh was started with.
    const nodes = childrenOf(mesh.pid).filter(({ command }) => command.includes("skynetes.ts node "));
    for (const { pid } of nodes) process.kill(pid, "SIGKILL");
    await vi.waitFor(async () => expect(mesh?.stderr().match(/killed by SIGKILL/g)).toHaveLength(nodes.length), 20_000);
    await new Promise((resolve) => setTimeout(resolve, 4_000));
    expect(await january()).toMatchObject({ answer: { flights: "744" } });
    expect(mesh.stderr()).not.toContain("open table");
    await stop();
    await expect(startUp(file, data)).rejects.toThrow(
      /^up ended with 78:[\s\S]*refuses the manifest: open table .?flights/,
    );
  }, 120_000);
});
