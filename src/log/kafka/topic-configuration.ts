import type { KafkaCluster } from "./kafka-cluster.ts";
import { faultOfCode } from "./kafka-fault.ts";

const TOPIC = 2;
const TIMESTAMP_TYPE = "message.timestamp.type";
const ASK_MS = 10_000;

/** Who sets the timestamps of a topic's records, by the topic's configuration now. */
export async function timestampTypeOf(cluster: KafkaCluster, topic: string): Promise<"CreateTime" | "LogAppendTime"> {
  const attempted = `read ${TIMESTAMP_TYPE} of topic "${topic}"`;
  await cluster.refresh(topic, attempted);
  const resource = { resourceType: TOPIC, resourceName: topic, configurationKeys: [TIMESTAMP_TYPE] } as const;
  const { results } = await cluster.connections.useAny({ attempted, ms: ASK_MS }, ({ connection, apis }) =>
    apis.describeConfigs.async(connection, [{ ...resource, configurationKeys: [TIMESTAMP_TYPE] }], false, false),
  );
  const result = results[0];
  if (result === undefined || result.errorCode !== 0) throw faultOfCode(result?.errorCode ?? -1, attempted);
  return result.configs.find(({ name }) => name === TIMESTAMP_TYPE)?.value === "LogAppendTime"
    ? "LogAppendTime"
    : "CreateTime";
}
