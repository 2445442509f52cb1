import {
  Enum,
  Integer,
  Literal,
  Optional,
  type Static,
  Array as TArray,
  Number as TNumber,
  Object as TObject,
  String as TString,
} from "typebox";
import { BindingsSchema } from "./binding-schema.ts";
import { API_VERSION } from "./document-schema.ts";
import { LogSchema } from "./log-schema.ts";
import { named } from "./name-rule.ts";
import { StoreSchema } from "./store-schema.ts";
import { TableSchema } from "./table-schema.ts";
import { TopicSchema } from "./topic-schema.ts";

const NodeName = named("dnsLabel", "Name of a node");

const PlacementSchema = TObject(
  {
    shard: Integer({ minimum: 0, maximum: 1023 }),
    nodes: TArray(NodeName, { minItems: 1, maxItems: 16, description: "Each holds the shard whole" }),
  },
  { additionalProperties: false },
);

const SnapshotsSchema = TObject(
  {
    schedule: TString({ description: "Cron expression in UTC, optionally with seconds first" }),
    keep: Integer({ minimum: 1, maximum: 1000, description: "How many serving ones are kept" }),
    keepFor: Optional(TString({ description: "Duration after which none of them is kept, such as 7d" })),
    bindings: BindingsSchema,
  },
  { additionalProperties: false, description: "Snapshots that make themselves" },
);

const GatewaySchema = TObject(
  {
    deadlineDefault: Optional(TString({ description: "Duration for requests that name none, such as 10s" })),
    deadlineMax: Optional(TString({ description: "Longest duration that a request may ask for" })),
    workers: Optional(
      Integer({ minimum: 1, maximum: 64, description: "Processes of a gateway; they share its ports" }),
    ),
    queriesMax: Optional(Integer({ minimum: 1, maximum: 100_000, description: "Queries under way at once" })),
    bodyBytesMax: Optional(TString({ description: "Size of a request, such as 1Mi" })),
    partialBytesMax: Optional(TString({ description: "Size of one shard's partial" })),
    groupBytesMax: Optional(TString({ description: "Size of all groups of one answer" })),
    partialFloor: Optional(
      TNumber({ minimum: 0, maximum: 1, description: "Least share of rows that a partial answer must cover" }),
    ),
    hedgeShare: Optional(
      TNumber({ minimum: 0, maximum: 1, description: "Shard calls beyond the needed ones, for each; 0: no hedging" }),
    ),
    auditShare: Optional(
      TNumber({
        minimum: 0,
        maximum: 1,
        description: "Share of answers that a second replica is asked for, to compare",
      }),
    ),
    mergeThreadsMax: Optional(
      Integer({ minimum: 0, maximum: 64, description: "Threads for large merges; 0: merges run in slices" }),
    ),
  },
  { additionalProperties: false, description: "Bounds of the gateways; absent: their own" },
);

export const MeshSchema = TObject(
  {
    apiVersion: Literal(API_VERSION),
    kind: Literal("Mesh"),
    metadata: TObject({ name: named("dnsLabel", "Name of the mesh") }, { additionalProperties: false }),
    spec: TObject(
      {
        shards: Integer({ minimum: 1, maximum: 1024 }),
        nodes: TArray(TObject({ name: NodeName }, { additionalProperties: false }), { minItems: 1, maxItems: 256 }),
        placements: Optional(
          TArray(PlacementSchema, { maxItems: 1024, description: "Default: shard i is on node i modulo their number" }),
        ),
        log: Optional(LogSchema),
        cut: Optional(Enum(["Prefix", "Transactional"], { description: "What a cut is closed over; default: Prefix" })),
        topics: TArray(TopicSchema, { minItems: 1, maxItems: 256 }),
        tables: TArray(TableSchema, { minItems: 1, maxItems: 256 }),
        snapshots: Optional(SnapshotsSchema),
        retireGrace: Optional(
          TString({ description: "Duration in which the retirement of a snapshot may be taken back; default: 10s" }),
        ),
        gateway: Optional(GatewaySchema),
        store: Optional(StoreSchema),
      },
      { additionalProperties: false },
    ),
  },
  { additionalProperties: false, description: "One sharded data set and all that serves it" },
);

export type MeshDocument = Static<typeof MeshSchema>;
