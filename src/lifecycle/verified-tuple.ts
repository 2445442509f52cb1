/** A snapshot and version, and the exact way to them: another endpoint or seal is another tuple. */
export interface VerifiedTuple {
  readonly snapshot: string;
  readonly version: string;
  /** The seal's digest and the version's endpoints, as text. */
  readonly way: string;
}
