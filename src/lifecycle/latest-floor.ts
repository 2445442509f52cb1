import type { Cut } from "../mesh/cut.ts";

/** The greatest cut that `latest` has meant for a service: it outlives the snapshot, so that `latest` never goes back. */
export interface LatestFloor {
  readonly service: string;
  readonly cut: Cut;
}
