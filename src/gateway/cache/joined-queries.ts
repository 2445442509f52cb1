import type { Clock } from "../../process/clock.ts";
import type { Completeness } from "../../wire/generated/skynetes/v1/stamp_pb.ts";
import type { Gathering } from "../query/gathering.ts";
import type { MemoryPool } from "../query/memory-pool.ts";
import type { OpenQuery } from "../query/open-query.ts";
import { Flight } from "./flight.ts";

export interface Gathered<T> {
  readonly answer: T;
  readonly completeness: Completeness;
  /** Somebody else had asked before. */
  readonly isCollapsed: boolean;
  /** Frees what is held for the answer, as soon as nobody else needs it. */
  close(): void;
}

/** Queries that ask the same at the same time scatter once. Each keeps its own deadline, id, cancel and place in lists. */
export class JoinedQueries<T> {
  readonly #flights = new Map<string, Flight<T>>();
  readonly #pool: MemoryPool;
  readonly #clock: Clock;
  readonly #partialFloor: number;

  constructor(pool: MemoryPool, clock: Clock, partialFloor: number) {
    this.#pool = pool;
    this.#clock = clock;
    this.#partialFloor = partialFloor;
  }

  /** How many gatherings others may join now. */
  get size(): number {
    return this.#flights.size;
  }

  /**
   * Gathers for the waiter, together with all who come with the same key meanwhile. Without a key it does so alone.
   * Faults: those of `gather`, and what stops the waiter.
   */
  async gather(
    key: string | undefined,
    waiter: OpenQuery,
    gather: (gathering: Gathering) => Promise<T>,
  ): Promise<Gathered<T>> {
    const shared = key === undefined ? undefined : await this.#join(key, waiter, gather);
    if (shared !== undefined) return shared;
    const answer = await gather(waiter);
    return { answer, completeness: waiter.completeness(), isCollapsed: false, close: () => {} };
  }

  /** Undefined: the waiter is to ask alone. */
  async #join(
    key: string,
    waiter: OpenQuery,
    gather: (gathering: Gathering) => Promise<T>,
  ): Promise<Gathered<T> | undefined> {
    const known = this.#flights.get(key);
    const flight = known ?? this.#open(key, waiter);
    if (known === undefined) flight.start(gather);
    else flight.join(waiter);
    const close = () => flight.leave(waiter);
    try {
      const end = await flight.endFor(waiter);
      if (end.kind === "fault") throw end.fault;
      if (end.kind === "answer") return { ...end, isCollapsed: known !== undefined, close };
    } catch (error) {
      close();
      throw error;
    }
    close();
    return undefined;
  }

  #open(key: string, first: OpenQuery): Flight<T> {
    const flight: Flight<T> = new Flight<T>(first, {
      pool: this.#pool,
      clock: this.#clock,
      partialFloor: this.#partialFloor,
      onClosed: () => {
        if (this.#flights.get(key) === flight) this.#flights.delete(key);
      },
    });
    this.#flights.set(key, flight);
    return flight;
  }
}
