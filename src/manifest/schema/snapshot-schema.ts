import {
  Enum,
  Literal,
  Optional,
  type Static,
  Boolean as TBoolean,
  Object as TObject,
  String as TString,
} from "typebox";
import { BindingsSchema } from "./binding-schema.ts";
import { API_VERSION } from "./document-schema.ts";

export const SnapshotSchema = TObject(
  {
    apiVersion: Literal(API_VERSION),
    kind: Literal("Snapshot"),
    metadata: TObject({ name: TString({ description: "Id of the snapshot" }) }, { additionalProperties: false }),
    spec: TObject(
      {
        asOf: Optional(TString({ description: "RFC 3339; default: the moment it is made" })),
        allowInexactAsOf: Optional(TBoolean({ description: "Accept topics whose timestamps are Unordered" })),
        bindings: BindingsSchema,
        retain: Optional(Enum(["Auto", "Pinned"], { description: "Pinned: retired by nobody but a person" })),
      },
      { additionalProperties: false },
    ),
  },
  { additionalProperties: false, description: "An immutable, named state of all shards at one cut" },
);

export type SnapshotDocument = Static<typeof SnapshotSchema>;
