import type { ConnectionOptions as TlsOptions } from "node:tls";

/** How a Kafka cluster is reached. Holds secrets: never printed. */
export interface KafkaConfig {
  /** host:port, at least one; the others of the cluster are found through it. */
  readonly brokers: readonly string[];
  readonly tls?: Pick<TlsOptions, "ca" | "cert" | "key" | "servername">;
  readonly sasl?: {
    readonly mechanism: "PLAIN" | "SCRAM-SHA-256" | "SCRAM-SHA-512";
    readonly username: string;
    readonly password: string;
  };
}
