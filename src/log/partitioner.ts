/**
 * Kafka's default partitioner, bit for bit: a record produced here lands in the partition where any Kafka producer would
 * have put it, so that a topic may be filled by both and a shard still holds every record of its keys.
 *
 *   partition = toPositive(murmur2(key)) mod partitions
 *
 * Records without a key go round in the order of their sequence numbers. Kafka's own choice for them is random; here
 * the partition of a record must be a function of the file it came from, or an interrupted load could not be resumed.
 */
export function partitionOf(key: Uint8Array | null, sequence: number, partitions: number): number {
  if (key === null) return sequence % partitions;
  return (murmur2(key) & 0x7fffffff) % partitions;
}

const SEED = 0x9747b28c | 0;
const M = 0x5bd1e995;
const R = 24;

/** MurmurHash2 as `org.apache.kafka.common.utils.Utils.murmur2` computes it: a signed 32-bit number. */
export function murmur2(data: Uint8Array): number {
  const length = data.length;
  const whole = length & ~3;
  let h = SEED ^ length;
  for (let i = 0; i < whole; i += 4) {
    let k = data[i]! | (data[i + 1]! << 8) | (data[i + 2]! << 16) | (data[i + 3]! << 24);
    k = Math.imul(k, M);
    k ^= k >>> R;
    k = Math.imul(k, M);
    h = Math.imul(h, M) ^ k;
  }
  const left = length - whole;
  if (left >= 3) h ^= data[whole + 2]! << 16;
  if (left >= 2) h ^= data[whole + 1]! << 8;
  if (left >= 1) h = Math.imul(h ^ data[whole]!, M);
  h ^= h >>> 13;
  h = Math.imul(h, M);
  h ^= h >>> 15;
  return h;
}
