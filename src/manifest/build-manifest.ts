import assert from "node:assert";
import type { KafkaLogSpec, SecretSource } from "../mesh/log-spec.ts";
import { serviceVersionName } from "../mesh/service-version.ts";
import { snapshotId } from "../mesh/snapshot-id.ts";
import type { MySqlSpec, MySqlUserSpec } from "../mesh/store-spec.ts";
import type { RecordSchema, TableSpec } from "../mesh/table-spec.ts";
import type {
  BindingSpec,
  GatewaySpec,
  Manifest,
  MeshSpec,
  MeshTopic,
  SeedSpec,
  ServiceVersionSpec,
  SnapshotSpec,
} from "./manifest.ts";
import type { MeshDocument } from "./schema/mesh-schema.ts";
import type { ServiceVersionDocument } from "./schema/service-version-schema.ts";
import type { SnapshotDocument } from "./schema/snapshot-schema.ts";
import type { TableDocument } from "./schema/table-schema.ts";
import type { TopicDocument } from "./schema/topic-schema.ts";
import { parseColumnType } from "./value/column-type.ts";
import { parseDuration, parseSize } from "./value/quantity.ts";
import { parseRfc3339 } from "./value/rfc3339.ts";
import { seedFormatOf } from "./value/seed-format.ts";

/** Documents that passed every check. */
export interface CheckedDocuments {
  readonly mesh: MeshDocument;
  readonly versions: readonly ServiceVersionDocument[];
  readonly snapshots: readonly SnapshotDocument[];
  /** By topic, of those whose format has one. */
  readonly schemas: ReadonlyMap<string, RecordSchema>;
}

/** Fills in the defaults and turns text into what it means. Nothing can fail any more. */
export function buildManifest(documents: CheckedDocuments, directory: string): Manifest {
  return {
    mesh: meshOf(documents.mesh, documents.schemas),
    versions: documents.versions.map(versionOf),
    snapshots: documents.snapshots.map(snapshotOf),
    directory,
  };
}

function meshOf({ metadata, spec }: MeshDocument, schemas: CheckedDocuments["schemas"]): MeshSpec {
  const tables = spec.tables.map(tableOf);
  const snapshots = spec.snapshots;
  return {
    name: metadata.name,
    shards: spec.shards,
    nodes: spec.nodes.map(({ name }) => ({ name })),
    placements: Array.from({ length: spec.shards }, (_, shard) => {
      const placement = spec.placements?.find((p) => p.shard === shard);
      return placement?.nodes ?? [spec.nodes[shard % spec.nodes.length]!.name];
    }),
    ...(spec.log?.kafka === undefined ? {} : { log: kafkaOf(spec.log.kafka) }),
    topics: spec.topics.map((topic) => ({ ...topicOf(topic, tables, spec.shards), ...schemaOf(topic, schemas) })),
    tables,
    schedule:
      snapshots === undefined
        ? undefined
        : {
            cron: snapshots.schedule,
            keep: snapshots.keep,
            keepForMs: snapshots.keepFor === undefined ? undefined : parseDuration(snapshots.keepFor),
            bindings: snapshots.bindings.map(bindingOf),
          },
    ...(spec.retireGrace === undefined ? {} : { retireGraceMs: parseDuration(spec.retireGrace) }),
    gateway: gatewayOf(spec.gateway ?? {}),
    ...(spec.store === undefined ? {} : { store: storeOf(spec.store.mysql) }),
  };
}

type KafkaDocument = NonNullable<NonNullable<MeshDocument["spec"]["log"]>["kafka"]>;

function kafkaOf({ brokers, brokersFrom, tls, sasl }: KafkaDocument): KafkaLogSpec {
  return {
    brokers: brokers ?? sourceOf(sure(brokersFrom)),
    ...(tls === undefined ? {} : { tls }),
    ...(sasl === undefined
      ? {}
      : {
          sasl: {
            mechanism: sasl.mechanism,
            username: sourceOf(sasl.usernameFrom),
            password: sourceOf(sasl.passwordFrom),
          },
        }),
  };
}

function sourceOf({ environment, file }: { environment?: string; file?: string }): SecretSource {
  return environment === undefined ? { file: sure(file) } : { environment };
}

function storeOf(mysql: NonNullable<MeshDocument["spec"]["store"]>["mysql"]): MySqlSpec {
  const { host, port, database, dialect, tls, users } = mysql;
  return {
    host,
    port: port ?? 3306,
    database,
    dialect: dialect ?? "MySQL",
    tls: tls === undefined ? undefined : { ca: tls.ca },
    users: { bootstrap: userOf(users.bootstrap), ingest: userOf(users.ingest), service: userOf(users.service) },
  };
}

type UserDocument = NonNullable<MeshDocument["spec"]["store"]>["mysql"]["users"]["ingest"];

function userOf({ name, passwordFrom }: UserDocument): MySqlUserSpec {
  return { name, password: sourceOf(passwordFrom) };
}

function tableOf(table: TableDocument): TableSpec {
  return {
    name: table.name,
    topic: table.topic,
    kind: table.kind,
    distribution: table.distribution ?? "Sharded",
    key: table.key ?? [],
    columns: table.columns.map(({ name, type, nullable }) => ({
      name,
      type: sure(parseColumnType(type)),
      nullable: nullable ?? false,
    })),
  };
}

function topicOf(topic: TopicDocument, tables: readonly TableSpec[], shards: number): MeshTopic {
  const sharded = tables.some((table) => table.topic === topic.name && table.distribution === "Sharded");
  return {
    name: topic.name,
    partitions: topic.partitions ?? (sharded ? shards : 1),
    format: topic.format,
    timestamps: topic.timestamps,
    seed: topic.seed === undefined ? undefined : seedOf(topic.seed),
  };
}

function schemaOf({ name }: TopicDocument, schemas: CheckedDocuments["schemas"]): Pick<MeshTopic, "schema"> {
  const schema = schemas.get(name);
  return schema === undefined ? {} : { schema };
}

function seedOf(seed: NonNullable<TopicDocument["seed"]>): SeedSpec {
  return {
    file: seed.file,
    format: seed.format ?? sure(seedFormatOf(seed.file)),
    key: seed.key ?? [],
    timestamp: seedTimestampOf(seed),
  };
}

function seedTimestampOf(seed: NonNullable<TopicDocument["seed"]>): SeedSpec["timestamp"] {
  if (seed.timestamp !== undefined) return { kind: "column", column: seed.timestamp };
  if (seed.fixedTimestamp === undefined) return { kind: "now" };
  return { kind: "fixed", timestampMs: sure(parseRfc3339(seed.fixedTimestamp)) };
}

function gatewayOf(gateway: NonNullable<MeshDocument["spec"]["gateway"]>): GatewaySpec {
  const bounds = {
    deadlineDefaultMs: gateway.deadlineDefault === undefined ? undefined : parseDuration(gateway.deadlineDefault),
    deadlineMaxMs: gateway.deadlineMax === undefined ? undefined : parseDuration(gateway.deadlineMax),
    workers: gateway.workers,
    queriesMax: gateway.queriesMax,
    bodyBytesMax: gateway.bodyBytesMax === undefined ? undefined : parseSize(gateway.bodyBytesMax),
    partialBytesMax: gateway.partialBytesMax === undefined ? undefined : parseSize(gateway.partialBytesMax),
    groupBytesMax: gateway.groupBytesMax === undefined ? undefined : parseSize(gateway.groupBytesMax),
    partialFloor: gateway.partialFloor,
    hedgeShare: gateway.hedgeShare,
    auditShare: gateway.auditShare,
    mergeThreadsMax: gateway.mergeThreadsMax,
  };
  return Object.fromEntries(Object.entries(bounds).filter(([, value]) => value !== undefined)) as GatewaySpec;
}

function versionOf({ metadata, spec }: ServiceVersionDocument): ServiceVersionSpec {
  const { module, command, env } = spec.template;
  return {
    name: sure(serviceVersionName(metadata.name)),
    service: spec.service,
    run: module === undefined ? { kind: "command", command: sure(command) } : { kind: "module", module },
    env: env ?? {},
    memoryLimitBytes: spec.memoryLimit === undefined ? undefined : parseSize(spec.memoryLimit),
    transport: spec.transport ?? "stream",
  };
}

function snapshotOf({ metadata, spec }: SnapshotDocument): SnapshotSpec {
  return {
    id: sure(snapshotId(metadata.name)),
    asOfMs: spec.asOf === undefined ? undefined : sure(parseRfc3339(spec.asOf)),
    allowInexactAsOf: spec.allowInexactAsOf ?? false,
    bindings: spec.bindings.map(bindingOf),
    pinned: spec.retain === "Pinned",
  };
}

function bindingOf(binding: { service: string; version: string }): BindingSpec {
  return { service: binding.service, version: sure(serviceVersionName(binding.version)) };
}

function sure<T>(value: T | undefined): T {
  assert(value !== undefined, "a manifest was built that had not passed its checks");
  return value;
}
