import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { create, type DescService } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { directFiles } from "../../src/archive/direct-files.ts";
import type { GatewayConfig, GatewayLimits, RunningGateway } from "../../src/gateway/gateway-config.ts";
import { startGateway } from "../../src/gateway/start-gateway.ts";
import { systemClock, systemRandomness } from "../../src/process/clock.ts";
import { writeSeal } from "../../src/seal/seal-file.ts";
import { GatewayAdminService } from "../../src/wire/generated/skynetes/v1/gateway_admin_pb.ts";
import { SealSchema } from "../../src/wire/generated/skynetes/v1/seal_pb.ts";
import {
  type RouteTable,
  RouteTableSchema,
  type SnapshotRoute,
  SnapshotRouteSchema,
} from "../../src/wire/generated/skynetes/v1/table_pb.ts";
import { type UnaryClient, unaryClient } from "../../src/wire/grpc-service.ts";
import { probeService } from "./probe-service.ts";
import { ScriptedShard } from "./scripted-shard.ts";

export const SERVICE = "probe.v1.ProbeService";
export const V1 = "probe-v1-00000001";
export const V2 = "probe-v2-00000002";

/** What holds for meshes that do not say otherwise: the same tests are run over both transports, and with merge threads. */
export const meshDefaults: { converse: boolean; limits: Partial<GatewayLimits> } = { converse: false, limits: {} };

export interface MeshOptions {
  readonly shards?: number;
  readonly replicas?: number;
  readonly limits?: Partial<GatewayLimits>;
  readonly joins?: boolean;
  /** No answer comes from another query's: nothing is joined, nothing kept. */
  readonly everyQueryScatters?: true;
  readonly telemetry?: GatewayConfig["telemetry"];
  /** Rows of each shard in the seal. */
  readonly rows?: (shard: number) => bigint;
  /** Echo may answer otherwise from call to call. */
  readonly nondeterministic?: boolean;
  /** The services speak ShardService.Converse; `meshDefaults` unless given. */
  readonly converse?: boolean;
  readonly transport?: GatewayConfig["transport"];
  /** Starts the gateway otherwise than in this process; its data directory is the archive's parent. */
  readonly start?: (config: GatewayConfig) => Promise<MeshGateway>;
  /** Leaves the gateway without a table. */
  readonly unapplied?: boolean;
}

export type MeshGateway = Omit<RunningGateway, "part">;

/** A real gateway over scripted shards on real ports, with snapshots `s1` (version 1) and `s2` (version 2, latest). */
export class ScriptedMesh {
  readonly gateway: MeshGateway;
  readonly admin: UnaryClient<typeof GatewayAdminService>;
  readonly desc: DescService;
  readonly archive: string;
  /** By shard, then replica. */
  readonly shards: readonly (readonly ScriptedShard[])[];
  table: RouteTable;

  constructor(parts: {
    gateway: MeshGateway;
    desc: DescService;
    archive: string;
    shards: readonly (readonly ScriptedShard[])[];
    table: RouteTable;
  }) {
    this.gateway = parts.gateway;
    this.desc = parts.desc;
    this.archive = parts.archive;
    this.shards = parts.shards;
    this.table = parts.table;
    this.admin = unaryClient(GatewayAdminService, parts.gateway.adminAddress);
  }

  /** The first replica of a shard. */
  shard(shard: number): ScriptedShard {
    return this.shards[shard]?.[0] as ScriptedShard;
  }

  get allShards(): readonly ScriptedShard[] {
    return this.shards.flat();
  }

  apply(table: RouteTable): Promise<unknown> {
    this.table = table;
    return this.admin.applyTable({ table }, { timeoutMs: 5_000 });
  }

  /** Waits until something holds; the event itself cannot be awaited across sockets. */
  async until(holds: () => boolean, what: string): Promise<void> {
    const end = Date.now() + 20_000;
    while (!holds()) {
      if (Date.now() > end) throw new Error(`waited 20 s for: ${what}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  async close(): Promise<void> {
    this.admin.close();
    await this.gateway.close();
    for (const shard of this.allShards) shard.stop();
    await rm(dirname(this.archive), { recursive: true, force: true });
  }

  url(path: string): string {
    return `http://${this.gateway.httpAddress}${path}`;
  }

  /** POST of a body, as JSON unless it is text already. */
  async post(path: string, body: unknown, init: RequestInit = {}): Promise<HttpReply> {
    const text = typeof body === "string" ? body : JSON.stringify(body);
    const headers = { "content-type": "application/json", ...(init.headers as Record<string, string>) };
    return replyOf(await fetch(this.url(path), { method: "POST", body: text, ...init, headers }));
  }

  async get(path: string, init: RequestInit = {}): Promise<HttpReply> {
    return replyOf(await fetch(this.url(path), init));
  }

  echo(body: unknown = {}, query = "", snapshot = "s2"): Promise<HttpReply> {
    return this.post(`/v1/snapshots/${snapshot}/${SERVICE}/Echo${query}`, body);
  }
}

export interface HttpReply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: the tests say what they expect of it
  readonly json: any;
}

async function replyOf(response: Response): Promise<HttpReply> {
  const text = await response.text();
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    json = undefined;
  }
  return { status: response.status, headers: response.headers, text, json };
}

export async function scriptedMesh(options: MeshOptions = {}): Promise<ScriptedMesh> {
  const { desc, set } = probeService(undefined, { nondeterministic: options.nondeterministic ?? false });
  const archive = join(await mkdtemp(join(tmpdir(), "gateway-test-")), "archive");
  await mkdir(archive);
  const count = options.shards ?? 4;
  const converse = options.converse ?? meshDefaults.converse;
  const shards = Array.from({ length: count }, (_, shard) =>
    Array.from({ length: options.replicas ?? 1 }, () => new ScriptedShard(shard, desc)),
  );
  for (const shard of shards.flat()) await shard.start(V2);

  const snapshots: SnapshotRoute[] = [];
  for (const [i, [id, version]] of [
    ["s1", V1],
    ["s2", V2],
  ].entries()) {
    snapshots.push(
      await sealedSnapshot({ archive, id: id!, version: version!, shards, offset: BigInt(i + 1) }, options.rows),
    );
  }
  const table = create(RouteTableSchema, {
    mesh: "probe",
    epoch: 1n,
    shards: shards.map((replicas, shard) => ({
      shard,
      placements: replicas.map((replica, r) => ({
        node: `node-${"abc"[r]}`,
        endpoints: [V1, V2].map((version) => ({ version, address: replica.address })),
      })),
    })),
    versions: [V1, V2].map((name) => ({ name, service: SERVICE, descriptors: set, converse })),
    snapshots,
    latest: [{ service: SERVICE, snapshot: "s2" }],
  });
  const gateway = await (options.start ?? startGateway)({
    name: "gateway-a",
    listen: { host: "127.0.0.1", httpPort: 0, grpcPort: 0, adminPort: 0 },
    archiveDirectory: archive,
    limits: {
      drainMs: 200,
      ...meshDefaults.limits,
      ...(options.everyQueryScatters ? { cacheBytesMax: 0 } : {}),
      ...options.limits,
    },
    clock: systemClock,
    randomness: systemRandomness,
    ...(options.transport === undefined ? {} : { transport: options.transport }),
    joins: options.joins ?? !options.everyQueryScatters,
    ...(options.telemetry === undefined ? {} : { telemetry: options.telemetry }),
  });
  const mesh = new ScriptedMesh({ gateway, desc, archive, shards, table });
  if (!options.unapplied) await mesh.apply(table);
  return mesh;
}

/** Seals a snapshot over the shards, each of which then knows its digest. */
export async function sealedSnapshot(
  parts: {
    archive: string;
    id: string;
    version: string;
    shards: readonly (readonly ScriptedShard[])[];
    /** Of the one topic, in every partition. */
    offset: bigint;
  },
  rows: (shard: number) => bigint = (shard) => BigInt(100 * (shard + 1)),
): Promise<SnapshotRoute> {
  const { id, offset } = parts;
  const positions = parts.shards.map((_, partition) => ({ topic: "t", topicId: "x", partition, position: offset }));
  const createdAt = timestampFromMs(1_700_000_000_000 + Number(offset) * 1000);
  const seal = create(SealSchema, {
    mesh: "probe",
    snapshot: id,
    shards: parts.shards.length,
    cut: { positions },
    createdAt,
    shardSeals: parts.shards.map((_, shard) => ({ shard, stateDigest: `${id}-${shard}-digest`, rows: rows(shard) })),
  });
  for (const shard of parts.shards.flat()) shard.digests.set(id, `${id}-${shard.shard}-digest`);
  return create(SnapshotRouteSchema, {
    id,
    sealSha256: await writeSeal(directFiles(parts.archive), seal),
    cut: { positions },
    createdAt,
    bindings: [{ service: SERVICE, version: parts.version }],
  });
}
