import { describe, expect, test } from "vitest";
import { gatewaySpec, nodeSpec, serviceSpec } from "../../src/up/child/child-specs.ts";
import { manifestFixture, snapshotFixture, V1 } from "./mesh-fixture.ts";

const manifest = manifestFixture({}, [snapshotFixture("a", V1)]);
const plan = {
  manifest,
  manifestFile: "/data/control/manifest.json",
  dataDirectory: "/data",
  script: "/app/skynetes.ts",
  host: "127.0.0.1",
  httpPort: 0,
  grpcPort: 50051,
};

describe("the processes of a mesh", () => {
  test("a process starts on any port and comes back on its old one; ports that were asked for stay", () => {
    const port = (argv: readonly string[], flag: string) => argv[argv.indexOf(flag) + 1];
    expect(port(nodeSpec(plan, "node-a").argv(undefined), "--listen")).toBe("127.0.0.1:0");
    expect(port(nodeSpec(plan, "node-a").argv({ address: "127.0.0.1:4711" }), "--listen")).toBe("127.0.0.1:4711");
    const last = { http: "127.0.0.1:81", grpc: "127.0.0.1:82", admin: "127.0.0.1:83" };
    const argv = gatewaySpec(plan).argv(last);
    expect(["--http-port", "--grpc-port", "--admin-port"].map((flag) => port(argv, flag))).toEqual([
      "81",
      "50051",
      "83",
    ]);
  });

  test("services keep what they read of snapshots in one directory of the mesh", () => {
    const argvs = ["node-a", "node-b"].map((node) => serviceSpec(plan, node, manifest.versions[0]!).argv(undefined));
    expect(argvs.map((argv) => argv[argv.indexOf("--scan-dir") + 1])).toEqual(["/data/scans", "/data/scans"]);
  });

  test("a service of another language is started as it stands and told the rest by environment", () => {
    const version = { ...manifest.versions[0]!, run: { kind: "command" as const, command: ["/bin/thing", "--fast"] } };
    const spec = serviceSpec(plan, "node-a", version);
    expect([spec.executable, ...spec.argv(undefined)]).toEqual(["/bin/thing", "--fast"]);
    expect(spec.env?.({ address: "127.0.0.1:4711" })).toMatchObject({
      VERSION: V1,
      SKYNETES_VERSION: V1,
      SKYNETES_NODE: "node-a",
      SKYNETES_LISTEN: "127.0.0.1:4711",
    });
  });

  test("each finds the passwords of the users it acts as, and no other, in its environment", () => {
    const user = (name: string) => ({
      name,
      password: { environment: `PASSWORD_OF_${name}` },
    });
    const users = { bootstrap: user("b"), ingest: user("i"), service: user("s") };
    const store = { host: "127.0.0.1", port: 1, database: "d", dialect: "MySQL" as const, tls: undefined, users };
    const stored = { ...plan, manifest: manifestFixture({ store }) };
    const version = stored.manifest.versions[0]!;
    const taken = (spec: ReturnType<typeof nodeSpec>) =>
      Object.entries(spec.env?.(undefined) ?? {}).flatMap(([name, value]) => (value === undefined ? [name] : []));
    expect(taken(gatewaySpec(stored))).toEqual(["PASSWORD_OF_b", "PASSWORD_OF_i", "PASSWORD_OF_s"]);
    expect(taken(nodeSpec(stored, "node-a"))).toEqual(["PASSWORD_OF_s"]);
    expect(taken(serviceSpec(stored, "node-a", version))).toEqual(["PASSWORD_OF_b", "PASSWORD_OF_i"]);
    expect(serviceSpec(stored, "node-a", version).argv(undefined)).toContain("--manifest");
    expect(serviceSpec(plan, "node-a", version).argv(undefined)).not.toContain("--manifest");
  });
});
