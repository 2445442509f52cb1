import type { BindingSpec, SnapshotSpec } from "../manifest/manifest.ts";
import type { Cut } from "../mesh/cut.ts";
import type { Retirement } from "./retirement.ts";

/**
 * What is wished of a snapshot, and the one fact that must never change once known: its cut. The driver writes it
 * durably before it acts on it.
 */
export interface SnapshotRecord {
  readonly id: string;
  /** Milliseconds since the Unix epoch; absent: as of the moment the cut is fixed. */
  readonly asOfMs: number | undefined;
  readonly allowInexactAsOf: boolean;
  readonly cut: FixedCut | undefined;
  readonly bindings: readonly BindingSpec[];
  readonly pinned: boolean;
  /** Set by a person, or by the plan's `retire`. May be taken back until it is `doomed`. */
  readonly retiring: boolean;
  /** Absent: not retiring, or since before it was written down. */
  readonly retirement?: Retirement | undefined;
  /** Set by the plan's `doom`, before anything of it is deleted; never taken back. */
  readonly doomed?: boolean | undefined;
  /** Made by the schedule: due at `createdAtMs`. */
  readonly scheduled: boolean;
  readonly createdAtMs: number;
}

export interface FixedCut {
  readonly positions: Cut;
  readonly fixedAtMs: number;
  /** Topics whose timestamps may decrease, so that "as of" is what their index says and no more. */
  readonly inexactTopics: readonly string[];
}

/** The record of a snapshot that the manifest names. */
export function recordOf(spec: SnapshotSpec, createdAtMs: number): SnapshotRecord {
  return {
    id: spec.id,
    asOfMs: spec.asOfMs,
    allowInexactAsOf: spec.allowInexactAsOf,
    cut: undefined,
    bindings: spec.bindings,
    pinned: spec.pinned,
    retiring: false,
    scheduled: false,
    createdAtMs,
  };
}
