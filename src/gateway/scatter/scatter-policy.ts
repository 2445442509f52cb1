/** The numbers of the scatter step: which replica is asked, when another one is too, and what all extra calls may cost. */
export interface ScatterPolicy {
  /** Extra calls (hedges and audits together) for each question, and how many may be saved up. A share of 0: none. */
  readonly extra: BudgetPolicy;
  /** Second tries after a fault of one call. */
  readonly retry: BudgetPolicy;
  /** Second tries of calls that were lost together: a connection died or fell silent under them. */
  readonly failover: BudgetPolicy;
  readonly hedge: HedgePolicy;
  readonly replica: ReplicaPolicy;
  readonly audit: AuditPolicy;
  /** Before the only placement is asked again: long enough for a connection to be opened anew, short beside any deadline. */
  readonly retryAfterMs: number;
  /** With less time left than this nothing is tried again. */
  readonly retryTimeLeftMs: number;
}

export interface BudgetPolicy {
  /** Earned by each question. */
  readonly share: number;
  /** Saved at most, and there at the start. */
  readonly burst: number;
  /** Earned by time, so that a gateway with few queries is not without. */
  readonly perSecond: number;
}

export interface HedgePolicy {
  /** A call is overdue when it has outlasted this share of its method's calls. */
  readonly quantile: number;
  /** What is waited for instead while less than half of the budget is there: the slowest calls are worth most. */
  readonly scarceQuantile: number;
  readonly delayMinMs: number;
  /** Whatever was observed, and while little was: statistics of a bad hour must not put hedging off for the next. */
  readonly delayMaxMs: number;
  /** Calls of a method before its quantile counts. */
  readonly samplesMin: number;
  /** No hedging of a method while more than this share of its recent calls was overdue: that is load, no straggler. */
  readonly slowShareMax: number;
}

export interface ReplicaPolicy {
  /** What is known of latencies loses half of its weight in so long. */
  readonly halfLifeMs: number;
  /** What is older is not known any more. */
  readonly forgetMs: number;
  /** Calls under way at a placement of which nothing is known, while another is known. */
  readonly unknownInFlightMax: number;
  /** Latencies within this factor of one another are equal: calls under way decide. */
  readonly likeFactor: number;
  /** A placement has many calls under way when this share of what was seen lately had no more. */
  readonly hotQuantile: number;
  /** So many are never many. */
  readonly hotMin: number;
  /** Left out when this share of its recent calls failed, each counting a quarter of what is known. */
  readonly failingShareMax: number;
  /** For how long: doubled each time it fails again, up to the greatest. At most half of a shard's placements. */
  readonly ejectMs: number;
  readonly ejectMaxMs: number;
  /** Calls given up at a placement that has said nothing for so long count as failed. */
  readonly silentMs: number;
  /** Calls under way at one placement: the first limit, what it may fall to and grow to. */
  readonly inFlightLimit: { readonly start: number; readonly min: number; readonly max: number };
  /** Calls that wait for a placement with room; more are refused. */
  readonly waitingMax: number;
  /** So many calls lost within so long were lost together. */
  readonly lostTogether: { readonly calls: number; readonly withinMs: number };
  /** Placements that are remembered, besides those that tables in use name. */
  readonly placementsMax: number;
}

export interface AuditPolicy {
  /** Share of the answers of deterministic methods that a second placement is asked for, to compare. 0: none. */
  readonly share: number;
  readonly underWayMax: number;
  /** Larger partials are not compared: that takes a turn of the event loop. */
  readonly bytesMax: number;
}

export const SCATTER_POLICY: ScatterPolicy = {
  extra: { share: 0.05, burst: 16, perSecond: 0 },
  retry: { share: 0.1, burst: 32, perSecond: 2 },
  failover: { share: 0.1, burst: 512, perSecond: 0 },
  hedge: {
    quantile: 0.95,
    scarceQuantile: 0.99,
    delayMinMs: 1,
    delayMaxMs: 200,
    samplesMin: 32,
    slowShareMax: 0.5,
  },
  replica: {
    halfLifeMs: 5_000,
    forgetMs: 15_000,
    unknownInFlightMax: 4,
    likeFactor: 1.5,
    hotQuantile: 0.75,
    hotMin: 4,
    failingShareMax: 0.5,
    ejectMs: 1_000,
    ejectMaxMs: 30_000,
    silentMs: 1_000,
    inFlightLimit: { start: 256, min: 16, max: 4096 },
    waitingMax: 1024,
    lostTogether: { calls: 3, withinMs: 100 },
    placementsMax: 4096,
  },
  audit: { share: 0.001, underWayMax: 2, bytesMax: 64 * 1024 },
  retryAfterMs: 20,
  retryTimeLeftMs: 40,
};

/** The policy of a gateway whose limits say how much may be asked beyond what queries need. */
export function scatterPolicy(limits: { readonly hedgeShare: number; readonly auditShare: number }): ScatterPolicy {
  return {
    ...SCATTER_POLICY,
    extra: { ...SCATTER_POLICY.extra, share: limits.hedgeShare },
    audit: { ...SCATTER_POLICY.audit, share: limits.auditShare },
  };
}
