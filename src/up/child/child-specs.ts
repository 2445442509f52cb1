/**
 * Which processes an embedded mesh is made of, as command lines: one gateway, a node agent per node, and for each node
 * a process per service version, which holds all shards of that node. Pure.
 */
import { resolve } from "node:path";
import type { Manifest, ServiceVersionSpec } from "../../manifest/manifest.ts";
import type { MySqlRole, MySqlUserSpec } from "../../mesh/store-spec.ts";
import { portOf, type ReadyAddresses } from "../../process/ready-line.ts";
import type { ChildSpec } from "../../process/supervisor.ts";
import { dataDirectory } from "../control/data-directory.ts";

export interface ChildPlan {
  readonly manifest: Manifest;
  readonly manifestFile: string;
  readonly dataDirectory: string;
  /** The program's own script: children are other commands of it. */
  readonly script: string;
  readonly host: string;
  readonly httpPort: number;
  readonly grpcPort: number;
}

export const GATEWAY = "gateway";

/**
 * What a child must not find in its environment: passwords of users of the store that it does not act as. A service runs
 * its author's code.
 */
function withoutPasswords(plan: ChildPlan, roles: readonly MySqlRole[]): Record<string, undefined> {
  const users = plan.manifest.mesh.store?.users;
  if (users === undefined) return {};
  const needed = new Set(roles.map((role) => variableOf(users[role])));
  const all = Object.values(users).map(variableOf);
  return Object.fromEntries(
    all.filter((name) => name !== undefined && !needed.has(name)).map((name) => [name, undefined]),
  );
}

function variableOf({ password }: MySqlUserSpec): string | undefined {
  return "environment" in password ? password.environment : undefined;
}

/**
 * Node agents and services work in bursts (a load, a freeze, a bind) and keep little of what they touch, and V8 and malloc
 * keep the memory of a burst for the next. Measured on three million flights, peak of the whole mesh (PSS): 2.1 GB as
 * they come, 1.5 GB with a young generation of 4 MB and two malloc arenas, in the same time. The gateway keeps V8's
 * default, since its garbage is that of every query.
 */
const SMALL_HEAP = ["--max-semi-space-size=4"];
const FEW_ARENAS = { MALLOC_ARENA_MAX: process.env.MALLOC_ARENA_MAX ?? "2" };

export function gatewaySpec(plan: ChildPlan): ChildSpec {
  return {
    name: GATEWAY,
    argv: (last) => [
      ...[plan.script, "gateway", "--data-dir", plan.dataDirectory, "--manifest", plan.manifestFile],
      ...["--name", GATEWAY, "--host", plan.host],
      ...["--http-port", String(plan.httpPort || sameOrAny(last, "http"))],
      ...["--grpc-port", String(plan.grpcPort || sameOrAny(last, "grpc"))],
      ...["--admin-port", String(sameOrAny(last, "admin"))],
    ],
    env: () => ({ ...FEW_ARENAS, ...withoutPasswords(plan, []) }),
  };
}

export function nodeSpec(plan: ChildPlan, node: string): ChildSpec {
  return {
    name: node,
    argv: (last) => [
      ...[
        ...SMALL_HEAP,
        plan.script,
        "node",
        "--manifest",
        plan.manifestFile,
        "--node",
        node,
        "--data-dir",
        plan.dataDirectory,
      ],
      ...["--listen", `127.0.0.1:${sameOrAny(last, "address")}`],
    ],
    env: () => ({ ...FEW_ARENAS, ...withoutPasswords(plan, ["bootstrap", "ingest"]) }),
  };
}

/** `node/version`: what a service process is called. */
export function serviceChildName(node: string, version: string): string {
  return `${node}/${version}`;
}

/**
 * A kit module runs under `skynetes service`. Any other program is started as it stands and gets what it must know by
 * environment: SKYNETES_VERSION, SKYNETES_NODE, SKYNETES_LISTEN; it prints the ready line with `address`, and ends when
 * its stdin does.
 */
export function serviceSpec(plan: ChildPlan, node: string, version: ServiceVersionSpec): ChildSpec {
  const listen = (last: ReadyAddresses | undefined) => `127.0.0.1:${sameOrAny(last, "address")}`;
  const name = serviceChildName(node, version.name);
  if (version.run.kind === "command") {
    const [executable, ...argv] = version.run.command as [string, ...string[]];
    const env = {
      ...withoutPasswords(plan, ["service"]),
      ...version.env,
      SKYNETES_VERSION: version.name,
      SKYNETES_NODE: node,
    };
    return { name, executable, argv: () => argv, env: (last) => ({ ...env, SKYNETES_LISTEN: listen(last) }) };
  }
  const memory =
    version.memoryLimitBytes === undefined ? [] : ["--memory-limit-bytes", String(version.memoryLimitBytes)];
  const store = plan.manifest.mesh.store === undefined ? [] : ["--manifest", plan.manifestFile];
  const module = resolve(plan.manifest.directory, version.run.module);
  return {
    name,
    argv: (last) => [
      ...[...SMALL_HEAP, plan.script, "service", "--module", module, "--version", version.name, "--node", node],
      ...["--listen", listen(last), "--scan-dir", dataDirectory(plan.dataDirectory).scans, ...memory, ...store],
    ],
    env: () => ({ ...FEW_ARENAS, ...withoutPasswords(plan, ["service"]), ...version.env }),
  };
}

export interface ServiceProcess {
  readonly node: string;
  readonly version: ServiceVersionSpec;
}

export function shardsOf(manifest: Manifest, node: string): readonly number[] {
  return manifest.mesh.placements.flatMap((nodes, shard) => (nodes.includes(node) ? [shard] : []));
}

function sameOrAny(last: ReadyAddresses | undefined, name: string): number {
  const address = last?.[name];
  return address === undefined ? 0 : portOf(address);
}
