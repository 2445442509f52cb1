/** Where a mesh's topics are, when they are in Kafka. Secrets are named, never here. */
export interface KafkaLogSpec {
  /** host:port of each, or the variable that lists them, separated by commas. */
  readonly brokers: readonly string[] | SecretSource;
  readonly tls?: {
    /** PEM files, relative to the manifest. Without an authority the system's are believed. */
    readonly caFile?: string;
    readonly certFile?: string;
    readonly keyFile?: string;
    /** The name that the brokers' certificates must have, when it is not that of their addresses. */
    readonly serverName?: string;
  };
  readonly sasl?: {
    readonly mechanism: "PLAIN" | "SCRAM-SHA-256" | "SCRAM-SHA-512";
    readonly username: SecretSource;
    readonly password: SecretSource;
  };
}

/** What stands elsewhere: in a variable of the environment, or in a file, relative to the manifest. */
export type SecretSource = { readonly environment: string } | { readonly file: string };
