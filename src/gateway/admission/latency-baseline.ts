/** Queries whose mean counts: that of fewer is chance. */
const COHORT = 10;
/**
 * How far a cohort moves what was known: quickly down; slowly up, since load that nobody sees can only make it seem
 * longer than it is, unless half of the load took as long as all of it.
 */
const DOWN = 0.3;
const UP = 0.05;
/** How far one query moves what is known of latency under load. */
const LOADED = 0.1;

interface MethodLatency {
  meanMs: number | undefined;
  loadedMs: number | undefined;
  /** Made of queries under load, there being no others yet: replaced by the first that were not. */
  isGuess: boolean;
  cohort: Cohort;
}

/**
 * Queries that began one after another. It is counted when all of them have ended: of those under way the quick ones
 * end first, and a mean of them alone would be too small.
 */
export interface Cohort {
  readonly isUnloaded: boolean;
  begun: number;
  ended: number;
  measured: number;
  sumMs: number;
  /** Some of it met load after it had begun. */
  hasMetLoad: boolean;
}

export interface CohortMember {
  readonly method: object;
  readonly cohort: Cohort | undefined;
  /** Absent: the query says nothing of latency. */
  readonly ms: number | undefined;
  /** At any time of its life. */
  readonly hasMetLoad: boolean;
}

/**
 * How long queries of each method take while nothing queues for them anywhere. By method, so that a change of the mix,
 * from cheap questions to dear ones, does not look like overload.
 */
export class LatencyBaseline {
  /** By plan, which lives as long as its version: a new version starts anew, an old one is forgotten with it. */
  readonly #methods = new WeakMap<object, MethodLatency>();

  of(method: object): number | undefined {
    return this.#methods.get(method)?.meanMs;
  }

  /** The cohort that the query belongs to, where it is measured. */
  begin(method: object, isUnloaded: boolean): Cohort | undefined {
    let known = this.#methods.get(method);
    if (known === undefined) {
      known = { meanMs: undefined, loadedMs: undefined, isGuess: true, cohort: newCohort(isUnloaded) };
      this.#methods.set(method, known);
    }
    if (!isUnloaded && known.meanMs !== undefined) return undefined;
    const { cohort } = known;
    const isOver = cohort.ended === COHORT;
    // A cohort under load is left for one without, which says more.
    const isWorse = isUnloaded && (!cohort.isUnloaded || cohort.hasMetLoad);
    if (isOver || isWorse) known.cohort = newCohort(isUnloaded);
    if (known.cohort.begun === COHORT) return undefined;
    known.cohort.begun++;
    return known.cohort;
  }

  /** Tells what the baseline of the method is now made of, when this query has changed it. */
  end({ method, cohort, ms, hasMetLoad }: CohortMember): "guess" | "measured" | undefined {
    const known = this.#methods.get(method);
    if (known === undefined) return undefined;
    if (ms !== undefined && hasMetLoad) known.loadedMs = moved(known.loadedMs, ms, LOADED);
    if (cohort === undefined) return undefined;
    cohort.ended++;
    cohort.hasMetLoad ||= hasMetLoad;
    if (ms !== undefined) {
      cohort.measured++;
      cohort.sumMs += ms;
    }
    const isWhole = cohort.ended === COHORT && cohort.measured >= COHORT / 2 && known.cohort === cohort;
    if (!isWhole || (cohort.isUnloaded && cohort.hasMetLoad)) return undefined;
    const meanMs = cohort.sumMs / cohort.measured;
    const isFirst = known.isGuess && cohort.isUnloaded;
    known.meanMs = isFirst ? meanMs : moved(known.meanMs, meanMs, weightOf(meanMs, known));
    known.isGuess &&= !cohort.isUnloaded;
    return cohort.isUnloaded ? "measured" : "guess";
  }
}

function newCohort(isUnloaded: boolean): Cohort {
  return { isUnloaded, begun: 0, ended: 0, measured: 0, sumMs: 0, hasMetLoad: false };
}

function moved(from: number | undefined, to: number, weight: number): number {
  return from === undefined ? to : from + weight * (to - from);
}

/**
 * Half of the load takes half of the time where the load is what makes it long, and as long where the mesh has become
 * slower: then what was known no longer holds.
 */
function weightOf(meanMs: number, { meanMs: before, loadedMs }: MethodLatency): number {
  if (before === undefined || meanMs < before) return DOWN;
  return loadedMs === undefined ? UP : Math.min(1, Math.max(UP, (2 * meanMs) / loadedMs - 1));
}
