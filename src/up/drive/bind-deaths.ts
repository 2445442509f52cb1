/**
 * A `load` may kill its process: native code that crashes, or a state larger than the memory. The process comes back,
 * everything is bound again, that snapshot too, and all snapshots of the version are away once more. So deaths are
 * counted: whatever was being bound when a process died is suspected and from then on bound alone and last, which clears
 * the innocent; what killed it again is left alone for minutes, so that the others serve meanwhile.
 */
import type { Action } from "../../lifecycle/action.ts";
import type { RefusedBind } from "../../lifecycle/observed-mesh.ts";

type Bind = Action & { readonly kind: "bind" | "unbind" };

interface Suspect {
  readonly snapshot: string;
  readonly version: string;
  readonly node: string;
  readonly deaths: number;
  /** On the monotonic clock. */
  readonly notBefore: number;
}

/** One may have been another's fault. */
const DEATHS_MAX = 2;
const PAUSE_MIN_MS = 5 * 60_000;
const PAUSE_MAX_MS = 60 * 60_000;
/** Above it the oldest suspicion is forgotten. */
const SUSPECTS_MAX = 1_000;

export class BindDeaths {
  readonly #suspects = new Map<string, Suspect>();

  /** The process died while it was bound. */
  died(bind: Bind, now: number): void {
    const key = keyOf(bind);
    const deaths = (this.#suspects.get(key)?.deaths ?? 0) + 1;
    const pauseMs = deaths < DEATHS_MAX ? 0 : Math.min(PAUSE_MIN_MS * 2 ** (deaths - DEATHS_MAX), PAUSE_MAX_MS);
    const { snapshot, version, node } = bind;
    this.#suspects.delete(key);
    this.#suspects.set(key, { snapshot, version, node, deaths, notBefore: now + pauseMs });
    for (const oldest of this.#suspects.keys()) {
      if (this.#suspects.size <= SUSPECTS_MAX) break;
      this.#suspects.delete(oldest);
    }
  }

  lived(bind: Bind): void {
    this.#suspects.delete(keyOf(bind));
  }

  /** The actions that may start beside those under way. `isFailing`: it failed last time, so nobody waits for it. */
  admit(
    actions: readonly Action[],
    underWay: readonly Action[],
    now: number,
    isFailing: (bind: Bind) => boolean,
  ): readonly Action[] {
    const running = underWay.filter(isBind);
    const alone = new Set(running.filter((bind) => this.#suspects.has(keyOf(bind))).map(processOf));
    const busy = new Set(running.map(processOf));
    const others = actions.filter((action) => !isBind(action) || !this.#suspects.has(keyOf(action)));
    const admitted = others.filter((action) => !isBind(action) || !alone.has(processOf(action)));
    for (const action of admitted) if (isBind(action) && !isFailing(action)) busy.add(processOf(action));
    for (const action of actions) {
      if (!isBind(action) || busy.has(processOf(action))) continue;
      const suspect = this.#suspects.get(keyOf(action));
      if (suspect === undefined || suspect.notBefore > now) continue;
      busy.add(processOf(action));
      admitted.push(action);
    }
    return admitted;
  }

  /** As if the process had refused them: nobody waits for these. */
  refused(version: string, node: string, shards: number): readonly RefusedBind[] {
    const here = [...this.#suspects.values()].filter(
      (s) => s.version === version && s.node === node && s.deaths >= DEATHS_MAX,
    );
    return here.flatMap((suspect) =>
      Array.from({ length: shards }, (_, shard) => ({ shard, snapshot: suspect.snapshot, reason: reasonOf(suspect) })),
    );
  }

  /** It has killed its process so often that it is not expected to come to anything. */
  isLeftAlone(bind: Bind): boolean {
    return (this.#suspects.get(keyOf(bind))?.deaths ?? 0) >= DEATHS_MAX;
  }

  /** By snapshot, why it is left alone. */
  reasons(): ReadonlyMap<string, string> {
    const left = [...this.#suspects.values()].filter(({ deaths }) => deaths >= DEATHS_MAX);
    return new Map(left.map((s) => [s.snapshot, `${s.version} on ${s.node}: ${reasonOf(s)}`]));
  }
}

function reasonOf({ deaths }: Suspect): string {
  return `its process died ${deaths} times while it loaded this snapshot`;
}

function isBind(action: Action): action is Bind {
  return action.kind === "bind";
}

function keyOf({ snapshot, version, node }: Bind): string {
  return `${snapshot} ${version} ${node}`;
}

function processOf({ version, node }: Bind): string {
  return `${version} ${node}`;
}
