import { afterEach, describe, expect, test, vi } from "vitest";
import type { Slices } from "../../src/accumulator/sliced-sort.ts";
import type { MergeExecution } from "../../src/gateway/merge/merge-execution.ts";
import type * as merges from "../../src/gateway/merge/start-merge.ts";
import { type HttpReply, type ScriptedMesh, SERVICE, scriptedMesh } from "./scripted-mesh.ts";

/** Merges that take as long as the test wants, in the place of the real ones. */
type Phase = "accept" | "next" | "finish";
let slow: { readonly phase: Phase; readonly work: () => Slices<void> } | undefined;
vi.mock(import("../../src/gateway/merge/start-merge.ts"), async (original): Promise<typeof merges> => {
  const { startMerge } = await original();
  return {
    startMerge(...parts) {
      const real = startMerge(...parts);
      const before = (phase: Phase): Slices<void> => (slow?.phase === phase ? slow.work() : nothing());
      return {
        acceptsColumns: real.acceptsColumns,
        begin: () => real.begin(),
        accept: (partial) => real.accept(partial),
        exclude: (shard) => real.exclude(shard),
        next: () => real.next(),
        finish: () => real.finish(),
        *acceptSlices(partial) {
          yield* before("accept");
          yield* real.acceptSlices(partial);
        },
        *nextSlices() {
          yield* before("next");
          return yield* real.nextSlices();
        },
        *finishSlices() {
          yield* before("finish");
          return yield* real.finishSlices();
        },
      } satisfies MergeExecution;
    },
  };
});

function* nothing(): Slices<void> {}

const PHASES: readonly Phase[] = ["accept", "next", "finish"];
let mesh: ScriptedMesh;
let over = false;
afterEach(async () => {
  over = true;
  slow = undefined;
  await mesh.close();
});
const problem = (reply: HttpReply) => [reply.status, reply.json.type.replace("https://skynetes.io/problems/", "")];

describe("the work of a merge", () => {
  /** Goes on until the test is over; says when it has begun. */
  const endless = (phase: Phase) => {
    over = false;
    const { promise, resolve } = Promise.withResolvers<void>();
    slow = {
      phase,
      *work() {
        resolve();
        while (!over) yield;
      },
    };
    return promise;
  };

  test.each(PHASES)("%s ends when the query is cancelled", async (phase) => {
    mesh = await scriptedMesh({ shards: 1 });
    const begun = endless(phase);
    const headers = { "x-skynetes-query-id": "mine" };
    const reply = mesh.post(`/v1/snapshots/s2/${SERVICE}/Echo`, {}, { headers });
    await begun;
    expect((await mesh.get("/v1/queries/mine", { method: "DELETE" })).status).toBe(204);
    expect(problem(await reply)).toEqual([499, "cancelled"]);
  });

  test.each(PHASES)("%s ends at the query's own deadline, with no shard to say so", async (phase) => {
    mesh = await scriptedMesh({ shards: 1 });
    void endless(phase);
    expect(problem(await mesh.echo({}, "?timeout=200ms"))).toEqual([504, "deadline-exceeded"]);
  });

  test.each(PHASES)("%s lets the event loop turn about every millisecond", async (phase) => {
    mesh = await scriptedMesh({ shards: 1 });
    let turns = 0;
    const turn = () => {
      turns++;
      if (!over) setImmediate(turn);
    };
    let turnsInWork = 0;
    over = false;
    slow = {
      phase,
      *work() {
        setImmediate(turn);
        for (let slice = 0; slice < 40; slice++) {
          const until = performance.now() + 1.5;
          while (performance.now() < until);
          yield;
        }
        turnsInWork = turns;
      },
    };
    expect((await mesh.echo()).status).toBe(200);
    expect(turnsInWork).toBeGreaterThanOrEqual(30);
  });
});
