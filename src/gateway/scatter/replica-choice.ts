import type { MethodLatency } from "./method-latency.ts";
import type { PlacementBook } from "./placement-book.ts";
import type { PlacementLoad } from "./placement-load.ts";
import type { ReplicaPolicy } from "./scatter-policy.ts";

/** How fit a replica is to be asked now; of worse ones only where there is no better. */
export type Standing = "fit" | "unknown" | "full" | "left-out" | "tried";
const ORDER: Readonly<Record<Standing, number>> = { fit: 0, unknown: 1, full: 2, "left-out": 3, tried: 4 };

export interface Choosing {
  readonly book: PlacementBook;
  readonly replicas: readonly PlacementLoad[];
  readonly method: MethodLatency;
  /** Those that this question has asked already. */
  readonly tried: readonly { readonly placement: PlacementLoad }[];
  readonly policy: ReplicaPolicy;
  readonly turn: number;
  readonly now: number;
}

export interface Choice {
  readonly placement: PlacementLoad;
  readonly standing: Standing;
}

/**
 * Power of two choices among the fittest replicas: the turn names two of them, and the better is asked. Where one has many
 * calls under way and the other has not, that decides; where both have, the fewer calls; otherwise the latency for this
 * method, and the fewer calls where that is alike. Calls under way tell of load at once, latencies of what is slow
 * without being loaded; the one alone floods a replica that is fast at failing or new, the other one that is slow.
 */
export function chooseReplica(choosing: Choosing): Choice | undefined {
  const { replicas, turn } = choosing;
  let [standing, count]: [Standing, number] = ["tried", 0];
  for (let i = 0; i < replicas.length; i++) {
    const one = standingOf(choosing, i);
    if (count === 0 || ORDER[one] < ORDER[standing]) [standing, count] = [one, 1];
    else if (one === standing) count++;
  }
  if (count === 0) return undefined;
  const first = nth(choosing, standing, turn % count);
  if (count === 1) return { placement: first, standing };
  const second = nth(choosing, standing, (turn + 1 + (Math.floor(turn / count) % (count - 1))) % count);
  choosing.book.sawInFlight(first.inFlight);
  choosing.book.sawInFlight(second.inFlight);
  return { placement: isBetter(choosing, second, first) ? second : first, standing };
}

function nth(choosing: Choosing, standing: Standing, n: number): PlacementLoad {
  let left = n;
  for (let i = 0; ; i++) if (standingOf(choosing, i) === standing && left-- === 0) return choosing.replicas[i]!;
}

function standingOf(choosing: Choosing, index: number): Standing {
  const { replicas, tried, now } = choosing;
  const placement = replicas[index]!;
  for (const one of tried) if (one.placement === placement) return "tried";
  if (isLeftOut(replicas, index, now)) return "left-out";
  if (placement.isFull) return "full";
  if (placement.inFlight >= choosing.policy.unknownInFlightMax && !placement.isKnown(now)) return "unknown";
  return "fit";
}

/** Ejected, and not more than half of the replicas are: of these, the ones that come back first are asked again. */
function isLeftOut(replicas: readonly PlacementLoad[], index: number, now: number): boolean {
  const { ejectedUntil } = replicas[index]!;
  if (ejectedUntil <= now) return false;
  let before = 0;
  for (let i = 0; i < replicas.length; i++) {
    const other = replicas[i]!.ejectedUntil;
    if (other > ejectedUntil || (other === ejectedUntil && i < index)) before++;
  }
  return before < Math.floor(replicas.length / 2);
}

function isBetter({ book, method, policy, now }: Choosing, a: PlacementLoad, b: PlacementLoad): boolean {
  const isHot = book.isHot(a.inFlight);
  if (isHot !== book.isHot(b.inFlight)) return !isHot;
  if (!isHot) {
    const [knownA, knownB] = [a.latencyMs(method, now), b.latencyMs(method, now)];
    // What is not known is taken for alike: it is neither shunned nor flooded.
    const latencyA = Math.max(knownA ?? knownB ?? 0, a.silentMs(now));
    const latencyB = Math.max(knownB ?? knownA ?? 0, b.silentMs(now));
    if (latencyA * policy.likeFactor < latencyB) return true;
    if (latencyB * policy.likeFactor < latencyA) return false;
  }
  return a.inFlight < b.inFlight;
}
