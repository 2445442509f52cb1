const BLOCK_BYTES = 4096;

interface Block {
  readonly id: string;
  readonly weight: bigint;
  readonly filling: Uint8Array;
}

/** By shard and size, as a service has its state: making them takes a turn of many milliseconds, and is not the kit's work. */
const made = new Map<string, Block[]>();

/** Blocks of 4 KiB, the last the heaviest. */
export function fillingBlocks(shard: number, bytes: number): Block[] {
  const name = `${shard} ${bytes}`;
  const known = made.get(name);
  if (known !== undefined) return known;
  const filling = new Uint8Array(BLOCK_BYTES).fill(shard);
  const blocks = Array.from({ length: blockCount(bytes) }, (_, i) => {
    return { id: blockId(shard, i), weight: BigInt(i), filling };
  });
  made.set(name, blocks);
  return blocks;
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
