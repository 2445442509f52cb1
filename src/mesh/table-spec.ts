import type { ColumnType } from "./column-type.ts";

/** A table as the mesh manifest describes it, and as every node builds it. */
export interface TableSpec {
  readonly name: string;
  /** Topic whose records are its rows. */
  readonly topic: string;
  /** Append: every record is a row. Upsert: the newest record of a key is; a record without value removes it. */
  readonly kind: "Append" | "Upsert";
  /** Sharded: shard i holds partition i. Broadcast: every shard holds all partitions. */
  readonly distribution: "Sharded" | "Broadcast";
  /** Columns of the upsert key; empty for append tables. */
  readonly key: readonly string[];
  readonly columns: readonly ColumnSpec[];
}

export interface ColumnSpec {
  readonly name: string;
  readonly type: ColumnType;
  readonly nullable: boolean;
}

export interface TopicSpec {
  readonly name: string;
  readonly partitions: number;
  readonly format: TopicFormat;
  /** Of formats other than JSON. */
  readonly schema?: RecordSchema;
  /**
   * NonDecreasing: the log's timestamps never go back within a partition, so that "as of T" is a promise.
   * Unordered: "as of" must be asked for explicitly and is marked. None: the topic has no time of its own, and a
   * snapshot as of a time takes all of it.
   */
  readonly timestamps: "NonDecreasing" | "Unordered" | "None";
}

export type TopicFormat = "JSON" | "Avro" | "Protobuf";

/** What the values of a topic's records are read by. */
export interface RecordSchema {
  /** Avro: the schema as JSON. Protobuf: a FileDescriptorSet with all its imports, in base64. */
  readonly text: string;
  /** Protobuf: full name of the message. */
  readonly message?: string;
  /** Values begin with the header of a schema registry, which names this id. Absent: they have no header. */
  readonly registryId?: number;
}
