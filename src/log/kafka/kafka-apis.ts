/**
 * The requests that this project makes of Kafka, in the versions that the client's encoders speak. A broker is asked for
 * its versions when a connection opens, and the highest common one is used; one without topic ids in its fetches (before
 * Kafka 3.1) is refused, since without them a topic that was made anew looks like the old one.
 */
import {
  apiVersionsV3,
  type Connection,
  createTopicsV5,
  createTopicsV6,
  createTopicsV7,
  describeConfigsV2,
  describeConfigsV3,
  describeConfigsV4,
  fetchV13,
  fetchV14,
  fetchV15,
  fetchV16,
  fetchV17,
  initProducerIdV3,
  initProducerIdV4,
  initProducerIdV5,
  listOffsetsV6,
  listOffsetsV7,
  listOffsetsV8,
  listOffsetsV9,
  metadataV10,
  metadataV11,
  metadataV12,
  produceV9,
  produceV10,
  produceV11,
} from "@platformatic/kafka";
import { Fault } from "../../fault/fault.ts";

const FETCH = [fetchV13, fetchV14, fetchV15, fetchV16, fetchV17];
const METADATA = [metadataV10.api, metadataV11.api, metadataV12.api];
const LIST_OFFSETS = [listOffsetsV6.api, listOffsetsV7.api, listOffsetsV8.api, listOffsetsV9.api];
const PRODUCE = [produceV9, produceV10, produceV11];
const CREATE_TOPICS = [createTopicsV5.api, createTopicsV6.api, createTopicsV7.api];
const INIT_PRODUCER = [initProducerIdV3.api, initProducerIdV4.api, initProducerIdV5.api];
const DESCRIBE_CONFIGS = [describeConfigsV2.api, describeConfigsV3.api, describeConfigsV4.api];

export interface KafkaApis {
  readonly fetch: (typeof FETCH)[number];
  readonly metadata: (typeof METADATA)[number];
  readonly listOffsets: (typeof LIST_OFFSETS)[number];
  readonly produce: (typeof PRODUCE)[number];
  readonly createTopics: (typeof CREATE_TOPICS)[number];
  readonly initProducerId: (typeof INIT_PRODUCER)[number];
  readonly describeConfigs: (typeof DESCRIBE_CONFIGS)[number];
}

interface Versions {
  readonly apiKey: number;
  readonly minVersion: number;
  readonly maxVersion: number;
}

/** Asks the broker at the other end. Fault `invalid-request`: it is too old, or too new for this client. */
export async function apisOf(connection: Connection, address: string): Promise<KafkaApis> {
  const { apiKeys } = await apiVersionsV3.api.async(connection, "skynetes", "1");
  return commonApis(apiKeys, address);
}

export function commonApis(versions: readonly Versions[], address: string): KafkaApis {
  const highest = <A extends { readonly key: number; readonly version: number }>(name: string, known: readonly A[]) => {
    const theirs = versions.find(({ apiKey }) => apiKey === known[0]!.key);
    const common = known.findLast(
      ({ version }) => theirs !== undefined && version >= theirs.minVersion && version <= theirs.maxVersion,
    );
    if (common !== undefined) return common;
    const spoken = theirs === undefined ? "none" : `${theirs.minVersion} to ${theirs.maxVersion}`;
    const ours = `${known[0]!.version} to ${known.at(-1)!.version}`;
    throw new Fault(
      "invalid-request",
      `connect to Kafka at ${address}: it speaks versions ${spoken} of ${name}, and ${ours} are needed (Kafka 3.1 or later)`,
    );
  };
  const withApi = <A extends { readonly api: { readonly key: number; readonly version: number } }>(
    name: string,
    known: readonly A[],
  ) => {
    const api = highest(
      name,
      known.map((one) => one.api),
    );
    return known.find((one) => one.api === api)!;
  };
  return {
    fetch: withApi("Fetch", FETCH),
    metadata: highest("Metadata", METADATA),
    listOffsets: highest("ListOffsets", LIST_OFFSETS),
    produce: withApi("Produce", PRODUCE),
    createTopics: highest("CreateTopics", CREATE_TOPICS),
    initProducerId: highest("InitProducerId", INIT_PRODUCER),
    describeConfigs: highest("DescribeConfigs", DESCRIBE_CONFIGS),
  };
}
