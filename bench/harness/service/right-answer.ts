import { SNAPSHOT, SNAPSHOT_ROWS, VERSION } from "../mesh/bench-names.ts";
import { drawnGroups } from "./drawn-groups.ts";

/** The global top list for a seed, worked out here and nowhere near a gateway: value descending, ties by key. */
export function rightTop(seed: number, shards: number, limit: number) {
  const sums = new Map<string, { key: string; first: number; second: number; third: number }>();
  for (let shard = 0; shard < shards; shard++) {
    for (const group of drawnGroups(seed, shard)) {
      const sum = sums.get(group.key);
      if (sum === undefined) sums.set(group.key, { ...group });
      else {
        sum.first += group.first;
        sum.second += group.second;
        sum.third += group.third;
      }
    }
  }
  return [...sums.values()].sort((a, b) => b.first - a.first || (a.key < b.key ? -1 : 1)).slice(0, limit);
}

/** The whole body of the HTTP reply, byte for byte: answers are checked by comparing bytes, which costs next to nothing. */
export function rightBody(seed: number, shards: number, limit: number): string {
  const groups = rightTop(seed, shards, limit).map(({ key, first, second, third }) => ({
    key,
    first: String(first),
    second: String(second),
    third: String(third),
  }));
  const rows = String(SNAPSHOT_ROWS * shards);
  const body = {
    answer: { groups },
    snapshot: { id: SNAPSHOT, version: VERSION },
    completeness: {
      complete: true,
      shards: { expected: shards, answered: shards },
      rows: { expected: rows, answered: rows },
      missing: [],
    },
  };
  return `${JSON.stringify(body)}\n`;
}
