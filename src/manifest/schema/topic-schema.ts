import { Enum, Integer, Optional, type Static, Array as TArray, Object as TObject, String as TString } from "typebox";
import { named } from "./name-rule.ts";

const SeedSchema = TObject(
  {
    file: TString({
      minLength: 1,
      maxLength: 4096,
      description: "Relative to the manifest, absolute, or npm:<package>/<path>",
    }),
    format: Optional(Enum(["CSV", "JSONLines", "Parquet"], { description: "Default: by the file's extension" })),
    key: Optional(
      TArray(named("identifier", "Column"), {
        maxItems: 16,
        description: "Columns of the record's key; default: none",
      }),
    ),
    timestamp: Optional(named("identifier", "Column with the record's timestamp")),
    fixedTimestamp: Optional(TString({ description: "RFC 3339: the timestamp of every record" })),
  },
  { additionalProperties: false, description: "Records for the topic while it is empty" },
);

const RecordSchemaSchema = TObject(
  {
    file: Optional(
      TString({
        minLength: 1,
        maxLength: 4096,
        description: "Avro: a schema as JSON. Protobuf: a FileDescriptorSet (buf build -o). Relative to the manifest",
      }),
    ),
    text: Optional(
      TString({ minLength: 1, maxLength: 1_048_576, description: "The same in place of a file; Protobuf: in base64" }),
    ),
    message: Optional(TString({ maxLength: 512, description: "Protobuf: full name of the message" })),
    registryId: Optional(
      Integer({
        minimum: 0,
        maximum: 4_294_967_295,
        description: "Values begin with a schema registry's header that names this id; default: no header",
      }),
    ),
  },
  { additionalProperties: false, description: "What values are read by; for formats other than JSON" },
);

export const TopicSchema = TObject(
  {
    name: named("topic", "Name of the topic in the log"),
    partitions: Optional(
      Integer({ minimum: 1, maximum: 1024, description: "Default: the mesh's shards, or 1 for a broadcast topic" }),
    ),
    format: Enum(["JSON", "Avro", "Protobuf"], { description: "How a record's value is encoded" }),
    schema: Optional(RecordSchemaSchema),
    timestamps: Enum(["NonDecreasing", "Unordered", "None"], {
      description: "What the log's timestamps promise, and so what 'as of' means",
    }),
    seed: Optional(SeedSchema),
  },
  { additionalProperties: false },
);

export type TopicDocument = Static<typeof TopicSchema>;
