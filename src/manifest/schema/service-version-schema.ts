import {
  Literal,
  Optional,
  type Static,
  Array as TArray,
  Object as TObject,
  Record as TRecord,
  String as TString,
  Union as TUnion,
} from "typebox";
import { API_VERSION } from "./document-schema.ts";
import { named } from "./name-rule.ts";

const TemplateSchema = TObject(
  {
    module: Optional(
      TString({ minLength: 1, maxLength: 4096, description: "Module of the service kit, relative to the manifest" }),
    ),
    command: Optional(
      TArray(TString({ maxLength: 4096 }), { minItems: 1, maxItems: 64, description: "Any program that serves it" }),
    ),
    env: Optional(TRecord(TString(), TString({ maxLength: 65_536 }), { description: "Its configuration" })),
  },
  { additionalProperties: false, description: "All that makes this version; its hash ends the version's name" },
);

export const ServiceVersionSchema = TObject(
  {
    apiVersion: Literal(API_VERSION),
    kind: Literal("ServiceVersion"),
    metadata: TObject({ name: TString({ description: "<service>-<label>-<hash8>" }) }, { additionalProperties: false }),
    spec: TObject(
      {
        service: named("service", "package.Service"),
        template: TemplateSchema,
        transport: Optional(
          TUnion([Literal("stream"), Literal("unary")], {
            description: "How gateways call it: packed on streams where it can (the default), or one gRPC call each",
          }),
        ),
        memoryLimit: Optional(TString({ description: "Size of a process, such as 512Mi" })),
      },
      { additionalProperties: false },
    ),
  },
  { additionalProperties: false, description: "One immutable build of a service" },
);

export type ServiceVersionDocument = Static<typeof ServiceVersionSchema>;
