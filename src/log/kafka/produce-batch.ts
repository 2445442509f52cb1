import { Writer } from "@platformatic/kafka";
import type { PartitionAnswer } from "./kafka-cluster.ts";
import type { Lent } from "./kafka-connections.ts";
import { codeOf } from "./kafka-fault.ts";

const ALL_REPLICAS = -1;

/** Sends one encoded batch to its partition's leader and returns its first offset when all replicas have it. */
export function produceBatch(
  { connection, apis }: Lent,
  produce: { readonly topic: string; readonly partition: number; readonly batch: Buffer; readonly brokerMs: number },
): Promise<PartitionAnswer<bigint>> {
  const { topic, partition, batch, brokerMs } = produce;
  const { api, parseResponse } = apis.produce;
  const request = () =>
    Writer.create()
      .appendString(null)
      .appendInt16(ALL_REPLICAS)
      .appendInt32(brokerMs)
      .appendArray([topic], (w, name) => {
        w.appendString(name).appendArray([partition], (w, index) => {
          w.appendInt32(index)
            .appendUnsignedVarInt(batch.length + 1)
            .append(batch);
        });
      })
      .appendTaggedFields();
  return new Promise((resolve, reject) => {
    connection.send(api.key, api.version, request, parseResponse, true, true, (error, answer) => {
      const code = error === null ? undefined : codeOf(error);
      if (code !== undefined) resolve({ code });
      else if (error !== null || answer === undefined) reject(error);
      else resolve({ code: 0, value: answer.responses[0]!.partitionResponses[0]!.baseOffset });
    });
  });
}
