/** A snapshot and version, and the exact way to them: another endpoint, process or seal is another tuple. */
export interface VerifiedTuple {
  readonly snapshot: string;
  readonly version: string;
  /** A digest of the seal, the version's endpoints and the instances that answer there. */
  readonly way: string;
}
