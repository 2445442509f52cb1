import { sha256Of } from "../../process/file-digest.ts";

/**
 * A table's digest is the sum of its rows' hashes, so it is equal for equal rows in any order, in any segments: replicas
 * agree whatever their histories of batches and freezes, and a freeze adds the new rows' digest to the old.
 */
export function addDigests(digests: Iterable<string>): string {
  let upper = 0n;
  let lower = 0n;
  for (const digest of digests) {
    upper = BigInt.asUintN(64, upper + BigInt(`0x${digest.slice(0, 16)}`));
    lower = BigInt.asUintN(64, lower + BigInt(`0x${digest.slice(16)}`));
  }
  return upper.toString(16).padStart(16, "0") + lower.toString(16).padStart(16, "0");
}

/** What is left of a sum of digests when rows are taken away again. */
export function subtractDigests(from: string, digests: Iterable<string>): string {
  const negated = [...digests].map((digest) => {
    const upper = BigInt.asUintN(64, -BigInt(`0x${digest.slice(0, 16)}`));
    const lower = BigInt.asUintN(64, -BigInt(`0x${digest.slice(16)}`));
    return upper.toString(16).padStart(16, "0") + lower.toString(16).padStart(16, "0");
  });
  return addDigests([from, ...negated]);
}

/** A shard's: the first 128 bits of the SHA-256 over its tables, sorted. */
export function stateDigest(
  tables: readonly { readonly name: string; readonly rows: bigint; readonly digest: string }[],
): string {
  const lines = tables.map(({ name, rows, digest }) => `${name} ${rows} ${digest}\n`);
  return sha256Of(lines.sort().join("")).slice(0, 32);
}
