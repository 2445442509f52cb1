const BLOCK_BYTES = 4096;

/** Blocks of 4 KiB, the last the heaviest. */
export function fillingBlocks(shard: number, bytes: number) {
  const filling = new Uint8Array(BLOCK_BYTES).fill(shard);
  return Array.from({ length: blockCount(bytes) }, (_, i) => ({ id: blockId(shard, i), weight: BigInt(i), filling }));
}

/** First of all blocks of all shards: equal weights are in the order of their ids. */
export function heaviestBlock(bytes: number): string {
  return blockId(0, blockCount(bytes) - 1);
}

function blockCount(bytes: number): number {
  return Math.ceil(bytes / BLOCK_BYTES);
}

function blockId(shard: number, index: number): string {
  return `block-${shard}-${String(index).padStart(6, "0")}`;
}
