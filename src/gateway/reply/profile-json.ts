/** One shard's answer in one round; what is not known is absent. */
export interface VisitJson {
  readonly shard: number;
  readonly round: number;
  readonly node?: string;
  readonly pod?: string;
  readonly transport?: string;
  readonly attempts?: number;
  readonly hedged?: boolean;
  readonly wonBy?: string;
  readonly cached: boolean;
  /** From the query's beginning. */
  readonly askedMs: number;
  /** From the question to its answer. */
  readonly answerMs?: number;
  /** Until a placement had room. */
  readonly placementQueueMs?: number;
  /** In the service, before its handler began. */
  readonly serviceQueueMs?: number;
  readonly serviceMs?: number;
  /** What is left of the call: both ways, and both event loops. */
  readonly networkMs?: number;
  /** From the answer until it was decoded and in the merge. */
  readonly mergeMs?: number;
  readonly bytes: number;
  readonly groups?: number;
  readonly rows?: number;
  readonly callsInFrame?: number;
  /** Id of what it failed with. */
  readonly fault?: string;
}

export interface ProfileJson {
  readonly snapshot: { readonly id: string; readonly version: string; readonly epoch: string };
  readonly totals: {
    readonly totalMs: number;
    /** By step: `resolve`, `admit`, `scatter`, `merge`. */
    readonly stepMs: Readonly<Record<string, number>>;
    readonly rounds: number;
    readonly questions: number;
    readonly cached: number;
    readonly failed: number;
    readonly attempts?: number;
    readonly hedged?: number;
    readonly bytes: number;
  };
  readonly shards: readonly VisitJson[];
  readonly leftOut: readonly { readonly shard: number; readonly reason: string }[];
  readonly text: string;
}
