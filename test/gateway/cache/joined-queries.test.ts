import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Fault } from "../../../src/fault/fault.ts";
import type { Answer } from "../../../src/gateway/query/answer.ts";
import { V1, V2 } from "../scripted-mesh.ts";
import { MemoryMesh, type MemoryMeshOptions, settled } from "./memory-mesh.ts";

const S1 = { version: V1, digests: ["a", "b", "c"] };
const PARTIAL = { kind: "partial", min: 0 } as const;

const start = (options: Partial<MemoryMeshOptions> = {}) => MemoryMesh.start({ snapshots: { s1: S1 }, ...options });
const failing = async (answer: Promise<Answer>) => {
  const fault = await answer.then(
    () => undefined,
    (error: unknown) => error,
  );
  return fault instanceof Fault ? fault.id : fault;
};
const answerAll = (mesh: MemoryMesh, rows = 1n) => {
  for (const call of mesh.calls) call.answer(rows);
};
const unavailable = () => new Fault("shard-failed", "shard: broken", { shard: 2 });

describe("queries that ask the same at the same time", () => {
  test("scatter once; each is listed under its own id, and has the same bytes", async () => {
    const mesh = await start();
    const ids = Array.from({ length: 20 }, (_, i) => `client-${i}`);
    const answers = ids.map((queryId) => mesh.ask({ queryId }));
    await settled();
    expect(mesh.calls.length).toBe(3);
    expect(mesh.gateway.register.list().map(({ id }) => id)).toEqual(ids);
    mesh.calls[0]!.answer(1n);
    await settled();
    expect(mesh.gateway.register.list().map(({ shards }) => shards?.answered)).toEqual(ids.map(() => 1));
    answerAll(mesh);
    const all = await Promise.all(answers);
    expect(new Set(all.map(({ pieces }) => Buffer.concat(pieces).toString("hex"))).size).toBe(1);
    expect(all.map(({ outcome }) => outcome.isCollapsed)).toEqual(ids.map((_, i) => i > 0));
    expect(mesh.gateway.register.size).toBe(20);
    for (const answer of all) answer.close();
    expect(mesh.gateway.register.size).toBe(0);
    expect(mesh.calls.length).toBe(3);
  });

  test("other requests, snapshots, wishes and tables are other questions", async () => {
    const snapshots = { s1: S1, s2: S1, s3: { ...S1, version: V2 } };
    const mesh = await start({ snapshots });
    const asked = [
      mesh.ask(),
      mesh.ask({ body: { text: "x" } }),
      mesh.ask({ snapshot: "s2" }),
      mesh.ask({ snapshot: "s3" }),
      mesh.ask({ quality: PARTIAL }),
      mesh.ask({ quality: { kind: "partial", min: 0.5 } }),
      mesh.ask({ cache: { serve: false, store: true } }),
      mesh.ask({ cache: { serve: true, store: false } }),
    ];
    await mesh.swap({ snapshots });
    asked.push(mesh.ask());
    await settled();
    expect(mesh.calls.length).toBe(3 * asked.length);
    answerAll(mesh);
    await Promise.all(asked);
  });

  test("each scatters when joining is switched off, and when its answer may differ", async () => {
    for (const options of [{ joins: false }, { rule: { nondeterministic: true } }]) {
      const mesh = await start(options);
      const asked = [mesh.ask(), mesh.ask()];
      await settled();
      expect(mesh.calls.length).toBe(6);
      answerAll(mesh);
      await Promise.all(asked);
    }
  });

  test("are joined by who comes while the last shard is still asked, and by nobody after", async () => {
    const mesh = await start({ limits: { cacheBytesMax: 0 } });
    const first = mesh.ask();
    await settled();
    mesh.calls[0]!.answer(1n);
    mesh.calls[1]!.answer(1n);
    await settled();
    const second = mesh.ask();
    await settled();
    expect(mesh.calls.length).toBe(3);
    mesh.calls[2]!.answer(1n);
    expect(await mesh.rows(first)).toBe(3n);
    expect(await mesh.rows(second)).toBe(3n);
    const third = mesh.ask();
    await settled();
    expect(mesh.calls.length).toBe(6);
    answerAll(mesh, 2n);
    expect(await mesh.rows(third)).toBe(6n);
  });
});

describe("who goes", () => {
  test("takes nobody with it: not the first by cancel, not the second by its connection", async () => {
    const mesh = await start();
    const gone = new AbortController();
    const [first, second, third] = [
      mesh.ask({ queryId: "first" }),
      mesh.ask({ signal: gone.signal }),
      mesh.ask({ queryId: "third" }),
    ];
    await settled();
    mesh.gateway.register.cancel("first");
    gone.abort(new Fault("cancelled", "the client went away"));
    expect([await failing(first), await failing(second)]).toEqual(["cancelled", "cancelled"]);
    expect(mesh.gateway.register.list().map(({ id }) => id)).toEqual(["third"]);
    expect(mesh.calls.map(({ signal }) => signal.aborted)).toEqual([false, false, false]);
    answerAll(mesh);
    expect(await mesh.rows(third)).toBe(3n);
  });

  test("as the last one stops the shards, and who comes then asks anew", async () => {
    const mesh = await start();
    const both = [mesh.ask({ queryId: "a" }), mesh.ask({ queryId: "b" })];
    await settled();
    mesh.gateway.register.cancel("a");
    await settled();
    expect(mesh.calls.some(({ signal }) => signal.aborted)).toBe(false);
    mesh.gateway.register.cancel("b");
    expect(await Promise.all(both.map(failing))).toEqual(["cancelled", "cancelled"]);
    expect(mesh.calls.every(({ signal }) => signal.aborted)).toBe(true);
    const later = mesh.ask();
    await settled();
    expect(mesh.calls.length).toBe(6);
    answerAll(mesh);
    expect(await mesh.rows(later)).toBe(3n);
  });
});

describe("deadlines", () => {
  test("each has its own: the first one's ends only the first", async () => {
    const mesh = await start();
    const first = mesh.ask({ timeoutMs: 1_000 });
    const second = mesh.ask({ timeoutMs: 600 });
    await mesh.clock.pass(700);
    expect(await failing(second)).toBe("deadline-exceeded");
    expect(mesh.gateway.register.size).toBe(1);
    answerAll(mesh);
    expect(await mesh.rows(first)).toBe(3n);
  });

  test("who has more time than the shards were given gets it: they are asked again, once for all who wait", async () => {
    const mesh = await start();
    const first = mesh.ask({ timeoutMs: 1_000 });
    await settled();
    const others = [mesh.ask({ timeoutMs: 5_000 }), mesh.ask({ timeoutMs: 4_000 })];
    await settled();
    expect(mesh.calls.map(({ call }) => call.timeoutMs)).toEqual([900, 900, 900]);
    mesh.calls[0]!.answer(1n);
    await mesh.clock.pass(1_000);
    expect(await failing(first)).toBe("deadline-exceeded");
    // The shard that has answered is not asked again, and the others are under the latest deadline.
    const again = mesh.calls.slice(3);
    expect(again.map(({ call }) => [call.shard, call.timeoutMs])).toEqual([
      [1, 4_000],
      [2, 4_000],
    ]);
    for (const call of again) call.answer(1n);
    for (const other of others) expect(await mesh.rows(other)).toBe(3n);
  });

  test("who has no more time than the shards were given has the fault, and asks nobody again", async () => {
    const mesh = await start();
    const both = [mesh.ask({ timeoutMs: 1_000 }), mesh.ask({ timeoutMs: 1_000 })];
    await mesh.clock.pass(2_000);
    expect(await Promise.all(both.map(failing))).toEqual(["deadline-exceeded", "deadline-exceeded"]);
    expect(mesh.calls.length).toBe(3);
  });
});

describe("admission", () => {
  const ONE_AT_A_TIME = { queriesMax: 10, concurrencyMin: 1, concurrencyInitial: 1 };

  /** One query has the only slot, the one behind waits. Resolves with the mesh, and what ends the first. */
  async function busy(limits: MemoryMeshOptions["limits"] = {}) {
    const mesh = await start({ limits: { ...ONE_AT_A_TIME, ...limits } });
    const before = mesh.ask({ body: { text: "other" } });
    await settled();
    const asked = mesh.calls.length;
    return {
      mesh,
      asked,
      free: async () => {
        answerAll(mesh);
        await mesh.rows(before);
        await settled();
      },
    };
  }

  test("who has more time than the first waits on for its turn when the first's time is over", async () => {
    const { mesh, asked, free } = await busy();
    const first = mesh.ask({ timeoutMs: 100 });
    await settled();
    const second = mesh.ask({ timeoutMs: 10_000 });
    await mesh.clock.pass(200);
    expect(await failing(first)).toBe("deadline-exceeded");
    expect(mesh.gateway.admission.waiting).toBe(1);
    await free();
    expect(mesh.calls.length).toBe(asked + 3);
    answerAll(mesh);
    expect(await mesh.rows(second)).toBe(3n);
  });

  test("is refused to all who join when nobody of them has more time", async () => {
    const { mesh, asked } = await busy();
    const both = [mesh.ask({ timeoutMs: 100 }), mesh.ask({ timeoutMs: 100 })];
    await mesh.clock.pass(95);
    expect(await Promise.all(both.map(failing))).toEqual(["overloaded", "overloaded"]);
    expect(mesh.calls.length).toBe(asked);
    expect(mesh.gateway.admission.waiting).toBe(0);
  });

  test("is refused to all who join when the queue is full, or was waited in as long as anybody may", async () => {
    const full = await busy({ queueMax: 1 });
    const behind = full.mesh.ask({ body: { text: "behind" } });
    await settled();
    const refused = [full.mesh.ask({ timeoutMs: 1_000 }), full.mesh.ask({ timeoutMs: 9_000 })];
    expect(await Promise.all(refused.map(failing))).toEqual(["overloaded", "overloaded"]);
    expect(full.mesh.gateway.admission.refusals.full).toBe(1);
    expect(full.mesh.gateway.admission.waiting).toBe(1);
    await full.free();
    answerAll(full.mesh);
    await full.mesh.rows(behind);

    const { mesh } = await busy({ queueWaitMaxMs: 200 });
    const first = mesh.ask({ timeoutMs: 1_000 });
    await settled();
    const both = [first, mesh.ask({ timeoutMs: 9_000 })];
    await mesh.clock.pass(210);
    expect(await Promise.all(both.map(failing))).toEqual(["overloaded", "overloaded"]);
  });
});

describe("faults", () => {
  test("one that each would have met is each one's, and the shards are asked once", async () => {
    for (const id of ["invalid-request", "shard-failed", "overflow"] as const) {
      const mesh = await start();
      const asked = [mesh.ask(), mesh.ask(), mesh.ask()];
      await settled();
      mesh.calls[1]!.fail(new Fault(id, "shard: no", { shard: 1 }));
      expect(await Promise.all(asked.map(failing))).toEqual([id, id, id]);
      expect(mesh.calls.length).toBe(3);
      // The others were working for nobody.
      expect(mesh.calls.every(({ signal }) => signal.aborted)).toBe(true);
    }
  });
});

describe("an incomplete answer is never shared (promise 2)", () => {
  test("it is the first one's, and the others ask alone, which costs the missing shard", async () => {
    const mesh = await start();
    const [first, second] = [mesh.ask({ quality: PARTIAL }), mesh.ask({ quality: PARTIAL })];
    await settled();
    mesh.calls[0]!.answer(1n);
    mesh.calls[1]!.answer(1n);
    mesh.calls[2]!.fail(unavailable());
    const incomplete = await first;
    expect(incomplete.completeness.missing.map(({ shards }) => shards)).toEqual(["2"]);
    expect(await mesh.rows(first)).toBe(2n);
    await settled();
    expect(mesh.calls.slice(3).map(({ call }) => call.shard)).toEqual([2]);
    mesh.calls[3]!.answer(1n);
    const whole = await second;
    expect([whole.completeness.complete, whole.outcome.isCollapsed]).toEqual([true, false]);
    expect(await mesh.rows(second)).toBe(3n);
  });

  test("nobody joins what has lost a shard", async () => {
    const mesh = await start();
    const first = mesh.ask({ quality: PARTIAL });
    await settled();
    mesh.calls[2]!.fail(unavailable());
    await settled();
    const second = mesh.ask({ quality: PARTIAL });
    await settled();
    expect(mesh.calls.length).toBe(6);
    answerAll(mesh);
    expect(await mesh.rows(first)).toBe(2n);
    expect(await mesh.rows(second)).toBe(3n);
  });

  test("too incomplete is the first one's fault alone", async () => {
    const mesh = await start();
    const quality = { kind: "partial", min: 0.9 } as const;
    const [first, second] = [mesh.ask({ quality }), mesh.ask({ quality })];
    await settled();
    mesh.calls[2]!.fail(unavailable());
    expect(await failing(first)).toBe("incomplete-answer");
    await settled();
    expect(mesh.calls.length).toBe(6);
    answerAll(mesh);
    expect(await mesh.rows(second)).toBe(3n);
  });

  test("who accepts a partial answer waits for others half its time, so that it can still ask alone", async () => {
    const mesh = await start({ limits: { cacheBytesMax: 0 } });
    const asked = [
      mesh.ask({ quality: PARTIAL, timeoutMs: 10_000 }),
      mesh.ask({ quality: PARTIAL, timeoutMs: 10_000 }),
    ];
    await mesh.clock.pass(4_900);
    expect(mesh.calls.length).toBe(3);
    await mesh.clock.pass(200);
    expect(mesh.calls.length).toBe(6);
    for (const { call, answer } of mesh.calls) if (call.shard < 2) answer(1n);
    await mesh.clock.pass(4_900);
    expect(await Promise.all(asked.map((one) => mesh.rows(one)))).toEqual([2n, 2n]);
    expect(mesh.calls.length).toBe(6);
  });
});

describe("memory", () => {
  test("is held once for all, until the last of them is sent", async () => {
    const mesh = await start({ limits: { cacheBytesMax: 0, memoryBytesMax: 1_000 } });
    const asked = [mesh.ask(), mesh.ask()];
    await settled();
    answerAll(mesh);
    const [first, second] = (await Promise.all(asked)) as [Answer, Answer];
    first.hold(700);
    expect(() => second.hold(700)).toThrow(/hold 7\d\d of 1000 bytes/);
    first.close();
    second.close();
    const after = mesh.ask();
    await settled();
    for (const call of mesh.calls.slice(3)) call.answer(1n);
    (await after).hold(1_000);
    (await after).close();
  });
});

type Event =
  | { readonly do: "ask"; readonly timeoutMs: number; readonly partial: boolean }
  | { readonly do: "cancel" | "answer" | "fail"; readonly which: number }
  | { readonly do: "pass"; readonly ms: number };

const event: fc.Arbitrary<Event> = fc.oneof(
  fc.record({ do: fc.constant("ask" as const), timeoutMs: fc.integer({ min: 50, max: 3_000 }), partial: fc.boolean() }),
  fc.record({ do: fc.constantFrom("cancel" as const, "answer" as const, "fail" as const), which: fc.nat(40) }),
  fc.record({ do: fc.constant("pass" as const), ms: fc.integer({ min: 1, max: 800 }) }),
);

test("whatever comes between: each is answered rightly, once, in its time, and nothing is left", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(event, { maxLength: 40 }),
      fc.constantFrom(0, 1_000_000),
      fc.constantFrom({}, { concurrencyMin: 1, concurrencyInitial: 1, queueWaitMaxMs: 300 }),
      async (events, cacheBytesMax, admission) => {
        const mesh = await start({ limits: { cacheBytesMax, ...admission } });
        const ends: Promise<void>[] = [];
        let askedCount = 0;
        for (const one of events) {
          if (one.do === "ask") {
            const queryId = `q-${askedCount++}`;
            const due = mesh.clock.monotonic() + one.timeoutMs;
            const answer = mesh.ask({
              queryId,
              timeoutMs: one.timeoutMs,
              quality: one.partial ? PARTIAL : { kind: "strict" },
            });
            const end = answer.then(
              async ({ completeness }) => {
                expect(await mesh.rows(answer)).toBe(BigInt(completeness.shards!.answered));
                if (!one.partial) expect(completeness.complete).toBe(true);
              },
              (error: unknown) => expect(error).toBeInstanceOf(Fault),
            );
            ends.push(end.then(() => expect(mesh.clock.monotonic()).toBeLessThanOrEqual(due)));
          } else if (one.do === "cancel") {
            const id = mesh.gateway.register.list()[one.which % 5]?.id;
            if (id !== undefined) mesh.gateway.register.cancel(id);
          } else if (one.do === "pass") {
            await mesh.clock.pass(one.ms);
          } else {
            const call = mesh.calls[mesh.calls.length - 1 - (one.which % 9)];
            if (one.do === "answer") call?.answer(1n);
            else call?.fail(unavailable());
          }
          if (one.do !== "ask") await settled();
          // As many are asked as anybody waits for.
          if (mesh.gateway.register.size === 0) expect(mesh.calls.every(({ signal }) => signal.aborted)).toBe(true);
        }
        await mesh.clock.pass(4_000);
        await Promise.all(ends);
        expect(mesh.gateway.register.size).toBe(0);
        expect(mesh.gateway.shared.joinable).toBe(0);
        expect([mesh.gateway.admission.inFlight, mesh.gateway.admission.waiting]).toEqual([0, 0]);
        expect(mesh.gateway.memoryHeld).toBe(0);
      },
    ),
  );
});
