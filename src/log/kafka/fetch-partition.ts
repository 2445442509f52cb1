import type { Reader } from "@platformatic/kafka";
import type { AbortedTransaction } from "./committed-records.ts";
import type { PartitionAnswer } from "./kafka-cluster.ts";
import type { Lent } from "./kafka-connections.ts";
import { KAFKA_ERROR } from "./kafka-fault.ts";

export interface PartitionFetch {
  readonly topicId: string;
  readonly partition: number;
  readonly offset: bigint;
  readonly maxBytes: number;
  readonly maxWaitMs: number;
}

/** What a broker has of a partition, as bytes. */
export interface FetchedBytes {
  /** The last stable offset: end of what is committed, or was never part of a transaction. */
  readonly stable: bigint;
  readonly aborted: readonly AbortedTransaction[];
  readonly batches: Buffer;
}

const READ_COMMITTED = 1;
const NO_EPOCH = -1;
const NOTHING = Buffer.alloc(0);

/**
 * One fetch, outside of any group and session: the request by the client's encoder, the answer read here, since the
 * client's reader decodes every record without comparing a checksum.
 */
export function fetchPartition(
  { connection, apis }: Lent,
  fetch: PartitionFetch,
): Promise<PartitionAnswer<FetchedBytes>> {
  const { topicId, partition, offset, maxBytes, maxWaitMs } = fetch;
  const { api, createRequest } = apis.fetch;
  const wanted = {
    partition,
    currentLeaderEpoch: NO_EPOCH,
    fetchOffset: offset,
    lastFetchedEpoch: NO_EPOCH,
    partitionMaxBytes: maxBytes,
  };
  const request = () =>
    createRequest(maxWaitMs, 1, maxBytes, READ_COMMITTED, 0, NO_EPOCH, [{ topicId, partitions: [wanted] }], [], "");
  return new Promise((resolve, reject) => {
    connection.send<PartitionAnswer<FetchedBytes>>(
      api.key,
      api.version,
      request,
      (_correlation, _key, _version, reader) => readAnswer(reader),
      true,
      true,
      (error, answer) => (error === null && answer !== undefined ? resolve(answer) : reject(error)),
    );
  });
}

/** Versions 13 to 17: what differs is in tagged fields, which end each part and are passed over. */
function readAnswer(reader: Reader): PartitionAnswer<FetchedBytes> {
  reader.readInt32(); // throttle
  const code = reader.readInt16();
  reader.readInt32(); // session
  if (code !== KAFKA_ERROR.none) return { code };
  let answer: PartitionAnswer<FetchedBytes> | undefined;
  reader.readArray((r) => {
    r.readUUID();
    r.readArray((r) => {
      answer = readPartition(r);
    });
  });
  // A broker that says nothing of what it was asked has no such topic for now.
  return answer ?? { code: KAFKA_ERROR.unknownTopicId };
}

function readPartition(r: Reader): PartitionAnswer<FetchedBytes> {
  r.readInt32(); // partition
  const code = r.readInt16();
  r.readInt64(); // high watermark
  const stable = r.readInt64();
  r.readInt64(); // start
  const aborted = r.readNullableArray((r) => ({ producerId: r.readInt64(), firstOffset: r.readInt64() })) ?? [];
  r.readInt32(); // preferred replica
  const size = Math.max(r.readUnsignedVarInt() - 1, 0);
  const batches = size === 0 ? NOTHING : r.buffer.slice(r.position, r.position + size);
  r.skip(size);
  return code === KAFKA_ERROR.none ? { code, value: { stable, aborted, batches } } : { code };
}
