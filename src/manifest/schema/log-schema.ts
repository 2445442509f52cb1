import { Enum, Optional, type Static, Array as TArray, Object as TObject, String as TString } from "typebox";

const FileName = (description: string) => TString({ minLength: 1, maxLength: 4096, description });

/** Where a secret stands; never the secret itself. */
export const SourceSchema = (description: string) =>
  TObject(
    {
      environment: Optional(TString({ minLength: 1, maxLength: 256, description: "Variable that holds it" })),
      file: Optional(FileName("File that holds it, relative to the manifest")),
    },
    { additionalProperties: false, description },
  );

const KafkaSchema = TObject(
  {
    brokers: Optional(
      TArray(TString({ minLength: 3, maxLength: 300 }), {
        minItems: 1,
        maxItems: 64,
        description: "host:port of each",
      }),
    ),
    brokersFrom: Optional(SourceSchema("Where host:port of each stands, separated by commas")),
    tls: Optional(
      TObject(
        {
          caFile: Optional(
            FileName("PEM of the authority that signed the brokers' certificates; default: the system's"),
          ),
          certFile: Optional(FileName("PEM of our own certificate")),
          keyFile: Optional(FileName("PEM of its key")),
          serverName: Optional(
            TString({
              minLength: 1,
              maxLength: 253,
              description: "Name in the brokers' certificates; default: the host",
            }),
          ),
        },
        { additionalProperties: false, description: "Encryption; absent: none" },
      ),
    ),
    sasl: Optional(
      TObject(
        {
          mechanism: Enum(["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]),
          usernameFrom: SourceSchema("Where the user's name stands"),
          passwordFrom: SourceSchema("Where the password stands"),
        },
        { additionalProperties: false, description: "Credentials; absent: none" },
      ),
    ),
  },
  { additionalProperties: false, description: "A Kafka cluster, 3.1 or later" },
);

export const LogSchema = TObject(
  { kafka: Optional(KafkaSchema) },
  { additionalProperties: false, description: "Where the topics are; absent: files of this mesh" },
);

export type LogDocument = Static<typeof LogSchema>;
