import type { UnderstoodQuery } from "../query/prepared-query.ts";
import type { QueryIntent } from "../receive/query-intent.ts";
import type { RoutingState } from "../table/routing-state.ts";
import { BoundedCache, type CacheCounts } from "./bounded-cache.ts";

/** Longer requests are read anew each time: they are rare, and their text alone would fill the place of many. */
const TEXT_MAX = 4096;
/** About what a message and the rest of it take, beside what grows with the request's text. */
const UNDERSTOOD_BYTES = 1200;
/** Fields of a message take more than their text. */
const BYTES_PER_CHARACTER = 8;

/**
 * What requests mean that came before, letter by letter the same: reading one, resolving its names, and hashing its tag
 * cost more than all else of a kept answer. What is found belongs to the table that asks, and holds it in memory whole:
 * under another all is forgotten and found out anew.
 */
export class KnownRequests {
  readonly #bytesMax: number;
  #cache: BoundedCache<UnderstoodQuery>;
  #state: RoutingState | undefined;
  /** Under former tables. */
  #evictions = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
    this.#cache = new BoundedCache(bytesMax);
  }

  get counts(): CacheCounts {
    const { counts } = this.#cache;
    return { ...counts, evictions: this.#evictions + counts.evictions };
  }

  /** Faults of `understand`, which are not kept. */
  understand(intent: QueryIntent, state: RoutingState, understand: () => UnderstoodQuery): UnderstoodQuery {
    if (state !== this.#state) this.#beginAnew(state);
    const key = keyOf(intent);
    if (key === undefined) return understand();
    const known = this.#cache.get(key);
    if (known !== undefined) return known;
    const understood = understand();
    this.#cache.set(key, understood, UNDERSTOOD_BYTES + BYTES_PER_CHARACTER * key.length);
    return understood;
  }

  #beginAnew(state: RoutingState): void {
    this.#evictions += this.#cache.counts.evictions;
    this.#cache = new BoundedCache(this.#bytesMax);
    this.#state = state;
  }
}

/** A line end keeps the parts apart: no name has one, and the text is the rest. */
function keyOf({ target, body }: QueryIntent): string | undefined {
  const { snapshot, service, version = "", method } = target;
  if (body.kind === "json" || [snapshot, service, version, method].some((name) => name.includes("\n")))
    return undefined;
  const text = body.kind === "text" ? body.text : Buffer.from(body.bytes).toString("latin1");
  if (text.length > TEXT_MAX) return undefined;
  return `${body.kind}\n${snapshot}\n${service}\n${version}\n${method}\n${text}`;
}
