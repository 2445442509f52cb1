import assert from "node:assert/strict";
import type { DescService } from "@bufbuild/protobuf";
import type { ServiceDefinition } from "../define-service.ts";
import { type CheckedTables, type Content, changesOf, nextContent, readerOf } from "./random-history.ts";
import { randomFrom } from "./random-tables.ts";

export type { CheckedRow, CheckedTable, CheckedValue } from "./random-tables.ts";
export type { CheckedTables };

export interface AdvanceCheck<State> {
  /** The tables that the service reads. */
  readonly tables: CheckedTables;
  /**
   * All that methods can tell of a state, in a form that `deepStrictEqual` compares: their answers to some requests, or
   * the state itself where it is plain data and equal content makes equal states. Absent: the state itself.
   */
  readonly observe?: (state: State) => unknown;
  /** How many random histories, 100; of so many snapshots each, 8. */
  readonly histories?: number;
  readonly snapshots?: number;
  /** Of the first history, 1; the n-th has the n-1-th number after it. What fails names the one to give here. */
  readonly seed?: number;
}

/**
 * For the tests of a service's author: runs `advance` over random histories, from snapshots to later ones, several ahead,
 * back to earlier ones and to themselves, and holds each state against the one that `load` makes of the same rows. Batches
 * are void once the next is taken, as those of a bind are. The state that was advanced must be as it was before.
 * Throws what differs, with the history's seed.
 */
export async function checkAdvance<S extends DescService, State>(
  definition: Pick<ServiceDefinition<S, State>, "load" | "advance">,
  check: AdvanceCheck<State>,
): Promise<void> {
  const first = check.seed ?? 1;
  for (let seed = first; seed < first + (check.histories ?? 100); seed++) await checkHistory(definition, check, seed);
}

interface Held<State> {
  readonly content: Content;
  readonly state: State;
}

async function checkHistory<S extends DescService, State>(
  definition: Pick<ServiceDefinition<S, State>, "load" | "advance">,
  { tables, observe = (state) => state, snapshots = 8 }: AdvanceCheck<State>,
  seed: number,
): Promise<void> {
  const random = randomFrom(seed);
  const contents: Content[] = [{}];
  while (contents.length < snapshots) contents.push(nextContent(tables, contents.at(-1) as Content, random));
  const pick = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)] as T;
  const [start] = contents as [Content];
  const held: Held<State>[] = [{ content: start, state: await definition.load(readerOf(tables, start)) }];
  for (const next of contents.slice(1)) {
    // Mostly on from the newest, at times from an older one; and then to some other, earlier or later.
    for (const content of random() < 0.3 ? [next, pick(contents)] : [next]) {
      const from = random() < 0.7 ? (held.at(-1) as Held<State>) : pick(held);
      const before = structuredClone(observe(from.state));
      const state = await definition.advance?.(from.state, changesOf(tables, from.content, content));
      assert(state !== undefined, "the definition has no advance");
      const loaded = await definition.load(readerOf(tables, content));
      equal(observe(state), observe(loaded), `advance and load differ, in the history of seed ${seed}`);
      equal(observe(from.state), before, `advance has changed the state it was given, in the history of seed ${seed}`);
      held.push({ content, state });
    }
  }
}

function equal(found: unknown, expected: unknown, message: string): void {
  try {
    assert.deepStrictEqual(found, expected);
  } catch (cause) {
    throw new Error(`${message}: ${(cause as Error).message}`, { cause });
  }
}
