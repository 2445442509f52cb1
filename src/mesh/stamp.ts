/** The exact state and code that made a partial. */
export interface Stamp {
  readonly shard: number;
  readonly snapshot: string;
  readonly stateDigest: string;
  readonly serviceVersion: string;
}

/** Names the first part that differs, or returns `undefined` when the stamps are equal. */
export function stampDifference(expected: Stamp, actual: Stamp): string | undefined {
  if (isSameStamp(expected, actual)) return undefined;
  for (const part of ["shard", "snapshot", "stateDigest", "serviceVersion"] as const) {
    if (expected[part] !== actual[part]) return `${part} is ${actual[part]}, expected ${expected[part]}`;
  }
  return undefined;
}

/** On the way of every partial. */
function isSameStamp(a: Stamp, b: Stamp): boolean {
  return (
    a.shard === b.shard &&
    a.snapshot === b.snapshot &&
    a.serviceVersion === b.serviceVersion &&
    a.stateDigest === b.stateDigest
  );
}
