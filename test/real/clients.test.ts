/**
 * Clients that know nothing of us, built from their Go modules, at one mesh: grpcurl with nothing but an address, and k6
 * with every answer checked.
 */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { k6Path, runK6 } from "../../bench/harness/tool/k6.ts";
import { goTool } from "../../bench/harness/tool/tool-cache.ts";
import { checkedCalls } from "../flights/checked-load.ts";
import { FlightsOracle } from "../flights/flights-oracle.ts";
import { MeshProcess } from "../flights/mesh-process.ts";

const dataDirectory = mkdtempSync(join(tmpdir(), "skynetes-clients-"));
const run = promisify(execFile);

let grpcurlPath: string;
let mesh: MeshProcess;
let oracle: FlightsOracle;

beforeAll(async () => {
  grpcurlPath = goTool("grpcurl", "github.com/fullstorydev/grpcurl/cmd/grpcurl", "v1.9.3");
  k6Path();
  mesh = await MeshProcess.start("examples/flights/mesh.yaml", dataDirectory);
  await mesh.serving(240_000);
  oracle = await FlightsOracle.open();
}, 600_000);

afterAll(async () => {
  oracle?.close();
  await mesh?.stop();
  rmSync(dataDirectory, { recursive: true, force: true });
});

async function grpcurl(
  args: readonly string[],
  address = `127.0.0.1:${mesh.ports.grpc}`,
  call: readonly string[] = [],
) {
  const { stdout } = await run(grpcurlPath, ["-plaintext", ...args, address, ...call], { maxBuffer: 64 << 20 });
  return stdout;
}

const call = async (method: string, request: unknown, headers: string[] = []) =>
  JSON.parse(
    await grpcurl([...headers.flatMap((h) => ["-H", h]), "-emit-defaults", "-d", JSON.stringify(request)], undefined, [
      method,
    ]),
  );

describe("grpcurl with nothing but the address", () => {
  test("lists the services of the mesh under their own names", async () => {
    const services = (await grpcurl([], undefined, ["list"])).trim().split("\n");
    expect(services).toEqual(
      expect.arrayContaining([
        "flights.v1.DelayService",
        "flights.v1.NetworkService",
        "skynetes.v1.GatewayService",
        "grpc.health.v1.Health",
      ]),
    );
  });

  test("describes a method", async () => {
    const text = await grpcurl([], undefined, ["describe", "flights.v1.DelayService.Summarize"]);
    expect(text).toContain("rpc Summarize ( .flights.v1.SummarizeRequest ) returns ( .flights.v1.SummarizeResponse )");
  });

  test("gets the global answer of every method at both snapshots", async () => {
    for (const snapshot of ["q1-2001", "h1-2001"] as const) {
      const headers = [`x-skynetes-snapshot: ${snapshot}`];
      const summary = await call("flights.v1.DelayService/Summarize", { origin: "LAX" }, headers);
      expect(summary).toEqual(await oracle.summarize(snapshot, { origin: "LAX" }));
      const top = await call(
        "flights.v1.DelayService/TopDestinations",
        { limit: 5, order: "ORDER_MEAN_DELAY" },
        headers,
      );
      expect(top).toEqual(await oracle.topDestinations(snapshot, "ORDER_MEAN_DELAY", 5));
      expect(await call("flights.v1.DelayService/DailyCounts", { origin: "ORD" }, headers)).toEqual(
        await oracle.dailyCounts(snapshot, { origin: "ORD" }),
      );
      expect(await call("flights.v1.NetworkService/Reach", { origins: ["LAX"] }, headers)).toEqual(
        await oracle.reach(snapshot, ["LAX"]),
      );
      expect(await call("flights.v1.NetworkService/Busiest", { limit: 3 }, headers)).toEqual(
        await oracle.busiest(snapshot, 3),
      );
      const found = await grpcurl(
        ["-H", headers[0] as string, "-emit-defaults", "-d", '{"origin":"BGR","limit":7,"offset":2}'],
        undefined,
        ["flights.v1.DelayService/Search"],
      );
      const rows = found
        .trim()
        .split(/\n(?=\{)/)
        .map((text) => JSON.parse(text));
      expect(rows).toEqual(await oracle.search(snapshot, { origin: "BGR" }, 7, 2));
    }
  });

  test("without a snapshot asks the latest", async () => {
    expect(await call("flights.v1.DelayService/Summarize", { destination: "SFO" })).toEqual(
      await oracle.summarize("h1-2001", { destination: "SFO" }),
    );
  });

  test("is told what is wrong: an unknown snapshot is NOT_FOUND by name", async () => {
    const failed = await call("flights.v1.DelayService/Summarize", {}, ["x-skynetes-snapshot: nope"]).catch((e) => e);
    expect(String(failed.stderr)).toContain("Code: NotFound");
    expect(String(failed.stderr)).toContain("nope");
  });

  test("health is SERVING", async () => {
    expect(JSON.parse(await grpcurl([], undefined, ["grpc.health.v1.Health/Check"])).status).toBe("SERVING");
  });
});

describe("k6 with every answer checked", () => {
  const load = { rate: 20, seconds: 3, users: 40 };

  for (const script of ["http", "grpc"] as const) {
    test(`over ${script}: ramp, steady, overload and steady again, and nothing is wrong`, async () => {
      const cases = await checkedCalls(oracle, await oracle.airports());
      const target = script === "http" ? mesh.url : `127.0.0.1:${mesh.ports.grpc}`;
      const { passed, phases, output } = await runK6({ script, target, cases, ...load });
      expect(passed, output).toBe(true);
      expect(phases.map(({ phase, wrong }) => [phase, wrong])).toEqual([
        ["ramp", 0],
        ["steady", 0],
        ["overload", 0],
        ["again", 0],
      ]);
      for (const { phase, right } of phases) expect(right, `right answers in ${phase}`).toBeGreaterThan(0);
    });

    test(`over ${script}: an answer that is not the expected one is noticed`, async () => {
      const [right, ...rest] = await checkedCalls(oracle, []);
      const cases = [{ ...right!, expected: { ...(right!.expected as object), flights: "1" } }, ...rest];
      const target = script === "http" ? mesh.url : `127.0.0.1:${mesh.ports.grpc}`;
      const { passed, phases } = await runK6({ script, target, cases, ...load, seconds: 1 });
      expect(passed).toBe(false);
      expect(phases.reduce((sum, { wrong }) => sum + wrong, 0)).toBeGreaterThan(0);
    });
  }
});
