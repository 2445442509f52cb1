import {
  Enum,
  Optional,
  type Static,
  Array as TArray,
  Boolean as TBoolean,
  Object as TObject,
  String as TString,
} from "typebox";
import { named } from "./name-rule.ts";

const ColumnSchema = TObject(
  {
    name: named("identifier", "Name of the column and of the record's field"),
    type: TString({
      description: "BOOLEAN, INT32, INT64, DOUBLE, DECIMAL(p,s), STRING, BYTES, DATE or TIMESTAMP",
    }),
    nullable: Optional(TBoolean({ description: "Default: false" })),
  },
  { additionalProperties: false },
);

export const TableSchema = TObject(
  {
    name: named("identifier", "Name of the table"),
    topic: TString({ description: "Topic whose records are its rows" }),
    kind: Enum(["Append", "Upsert"], { description: "Every record is a row; or the newest record of a key is" }),
    distribution: Optional(
      Enum(["Sharded", "Broadcast"], {
        description: "Sharded (default): shard i holds partition i; Broadcast: all hold all",
      }),
    ),
    key: Optional(
      TArray(named("identifier", "Column"), { minItems: 1, maxItems: 16, description: "Of an upsert table" }),
    ),
    columns: TArray(ColumnSchema, { minItems: 1, maxItems: 1000 }),
  },
  { additionalProperties: false },
);

export type TableDocument = Static<typeof TableSchema>;
