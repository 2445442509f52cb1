import type { KafkaCluster, PartitionAnswer } from "./kafka-cluster.ts";
import { codeOf, faultOfCode } from "./kafka-fault.ts";

/** Kafka's own names for the first offset, and for the one after the last that a committed reader sees. */
export const EARLIEST = -2n;
export const LATEST = -1n;

const READ_COMMITTED = 1;
const NO_EPOCH = -1;

/**
 * The first offset at or after a time in milliseconds, or one of the names above. `undefined`: no record that a committed
 * reader sees is as late. The broker looks at every record, so the answer is exact for any order of timestamps.
 */
export async function listOffset(
  cluster: KafkaCluster,
  request: {
    readonly topic: string;
    readonly partition: number;
    readonly timestamp: bigint;
    readonly attempted: string;
  },
): Promise<bigint | undefined> {
  const { topic, partition, timestamp, attempted } = request;
  const answer = await cluster.askLeader<bigint>(
    { topic, partition, attempted, ms: 0 },
    async ({ connection, apis }): Promise<PartitionAnswer<bigint>> => {
      const partitions = [{ partitionIndex: partition, currentLeaderEpoch: NO_EPOCH, timestamp }];
      try {
        const { topics } = await apis.listOffsets.async(connection, -1, READ_COMMITTED, [{ name: topic, partitions }]);
        return { code: 0, value: topics[0]!.partitions[0]!.offset };
      } catch (error) {
        const code = codeOf(error);
        if (code === undefined) throw error;
        return { code };
      }
    },
  );
  if (answer.value === undefined) throw faultOfCode(answer.code, attempted);
  return answer.value < 0n ? undefined : answer.value;
}
