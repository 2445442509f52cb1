import { Enum, Integer, Optional, Object as TObject, String as TString } from "typebox";
import { SourceSchema } from "./log-schema.ts";
import { named } from "./name-rule.ts";

const UserSchema = TObject(
  {
    name: TString({ minLength: 1, maxLength: 80 }),
    passwordFrom: SourceSchema("Where the password stands"),
  },
  { additionalProperties: false, description: "A user of the server" },
);

export const StoreSchema = TObject(
  {
    mysql: TObject(
      {
        host: TString({ minLength: 1, maxLength: 253 }),
        port: Optional(Integer({ minimum: 1, maximum: 65_535, description: "Default: 3306" })),
        database: named("identifier", "Beginning of every database's name"),
        dialect: Optional(Enum(["MySQL", "SingleStore"], { description: "Default: MySQL, which is MariaDB's too" })),
        tls: Optional(
          TObject(
            {
              ca: Optional(
                TString({
                  minLength: 1,
                  maxLength: 4096,
                  description: "PEM file of the authorities that may vouch for the server, relative to the manifest",
                }),
              ),
            },
            { additionalProperties: false, description: "Encrypted, the server verified; needed for another machine" },
          ),
        ),
        users: TObject(
          { bootstrap: UserSchema, ingest: UserSchema, service: UserSchema },
          { additionalProperties: false, description: "See deploy/mysql/users.sql" },
        ),
      },
      { additionalProperties: false },
    ),
  },
  { additionalProperties: false, description: "Where shards are stored; absent: in DuckDB files of their nodes" },
);
