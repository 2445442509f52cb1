/** A snapshot's name. `latest` is reserved: it is a question, not a name. */
export type SnapshotId = string & { readonly __brand: "SnapshotId" };

export const LATEST = "latest";

const PATTERN = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

/** Returns the id, or `undefined` when the text is not one. */
export function snapshotId(text: string): SnapshotId | undefined {
  return PATTERN.test(text) && text !== LATEST ? (text as SnapshotId) : undefined;
}

export const SNAPSHOT_ID_RULE = "1 to 63 of a-z, 0-9 and '-', neither first nor last a '-', and not 'latest'";
