import * as fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { Admission, type Slot } from "../../../src/gateway/admission/admission.ts";
import { ADMISSION_DEFAULTS, type AdmissionLimits } from "../../../src/gateway/admission/admission-limits.ts";
import { seeded, VirtualClock } from "../../process/virtual-clock.ts";

const METHOD = {};
let clock: VirtualClock;
let loopDelay: number;
beforeEach(() => {
  clock = new VirtualClock();
  loopDelay = 0;
});

function admission(limits: Partial<AdmissionLimits> = {}): Admission {
  return new Admission({
    limits: { ...ADMISSION_DEFAULTS, ...limits },
    clock,
    randomness: seeded(1),
    takeLoopDelay: () => loopDelay,
  });
}

function applicant(over: { deadline?: number; signal?: AbortSignal } = {}) {
  return { method: METHOD, deadline: 1e9, signal: new AbortController().signal, ...over };
}

/** Its order in `order` when it gets a slot, and what became of it. */
function enter(to: Admission, order: string[], name: string, over: Parameters<typeof applicant>[0] = {}) {
  const entered = (async () => to.enter(applicant(over)))();
  return entered.then(
    (slot: Slot) => {
      order.push(name);
      return slot;
    },
    (error: { id?: string }) => void order.push(`${name}: ${error.id ?? error}`),
  );
}

const turns = () => clock.run(clock.now());
const settle = async () => {
  for (let i = 0; i < 10; i++) await undefined;
};

describe("slots", () => {
  test("a free one is given at once, without a promise", () => {
    expect(admission().enter(applicant())).not.toBeInstanceOf(Promise);
  });

  test("no more are under way than the limit; a slot that is left is the next one's, and only once", async () => {
    const to = admission({ queriesMax: 2 });
    const order: string[] = [];
    const first = to.enter(applicant()) as Slot;
    to.enter(applicant());
    void enter(to, order, "third");
    void enter(to, order, "fourth");
    await settle();
    expect([to.inFlight, to.waiting, order]).toEqual([2, 2, []]);
    first.leave("ok");
    first.leave("ok");
    await settle();
    expect([to.inFlight, to.waiting, order]).toEqual([2, 1, ["third"]]);
  });

  test("nobody overtakes those that wait, although a slot is free while they are being served", async () => {
    const to = admission({ queriesMax: 1 });
    const order: string[] = [];
    const first = to.enter(applicant()) as Slot;
    void enter(to, order, "second");
    first.leave("ok");
    void enter(to, order, "third");
    await settle();
    expect([to.inFlight, order]).toEqual([1, ["second"]]);
  });
});

describe("the queue", () => {
  const full = (limits: Partial<AdmissionLimits> = {}) => {
    const to = admission({ queriesMax: 1, queueWaitMaxMs: 1_000, ...limits });
    return { to, slot: to.enter(applicant()) as Slot };
  };

  test("a cancelled query leaves it at once", async () => {
    const { to } = full();
    const order: string[] = [];
    const gone = new AbortController();
    void enter(to, order, "cancelled", { signal: gone.signal });
    expect(to.waiting).toBe(1);
    gone.abort("gone");
    expect(to.waiting).toBe(0);
    await settle();
    expect(order).toEqual(["cancelled: gone"]);
    expect(to.refusals).toEqual({ full: 0, deadline: 0, waited: 0 });
  });

  test("a query that is cancelled already does not enter it", async () => {
    const { to } = full();
    const order: string[] = [];
    await enter(to, order, "cancelled", { signal: AbortSignal.abort("gone") });
    expect([to.waiting, order]).toEqual([0, ["cancelled: gone"]]);
  });

  test("who has waited for too long is refused", async () => {
    const { to } = full();
    const order: string[] = [];
    void enter(to, order, "waits");
    await clock.run(999);
    expect(order).toEqual([]);
    await clock.run(1_000);
    expect([order, to.waiting, to.refusals.waited]).toEqual([["waits: overloaded"], 0, 1]);
  });

  test("a query whose deadline would pass while it waits is refused at once", async () => {
    const { to, slot } = full({ limitWindowMs: 1, queueMax: 10 });
    // Twenty queries teach it that one takes 100 ms.
    let last = slot;
    for (let i = 0; i < 40; i++) {
      await clock.run(clock.now() + 100);
      last.leave("ok");
      last = to.enter(applicant()) as Slot;
    }
    const order: string[] = [];
    for (const name of ["a", "b", "c"]) void enter(to, order, name);
    void enter(to, order, "hurried", { deadline: clock.now() + 350 });
    await settle();
    expect([order, to.refusals.deadline]).toEqual([["hurried: overloaded"], 1]);
    void enter(to, order, "patient", { deadline: clock.now() + 450 });
    await settle();
    expect(to.waiting).toBe(4);
  });

  test("first come, first served; when the oldest has waited for long, the newest, which has the most time left", async () => {
    const { to, slot } = full();
    const order: string[] = [];
    for (const name of ["a", "b", "c"]) {
      void enter(to, order, name).then((s) => s && held.push(s));
    }
    const held: Slot[] = [];
    await clock.run(500);
    slot.leave("ok");
    await turns();
    await settle();
    expect(order).toEqual(["a"]);
    await clock.run(501);
    held[0]?.leave("ok");
    await settle();
    expect(order).toEqual(["a", "c"]);
  });

  test("a burst may fill it; once it has been standing, no more wait than are served within the target", async () => {
    const { to } = full({ queueMax: 100, queueStandingMs: 100 });
    const order: string[] = [];
    for (let i = 0; i < 50; i++) void enter(to, order, `${i}`);
    await settle();
    expect([to.waiting, to.turnAway()]).toEqual([50, undefined]);
    for (let i = 50; i < 100; i++) void enter(to, order, `${i}`);
    expect(to.turnAway()).toBeGreaterThanOrEqual(ADMISSION_DEFAULTS.retryAfterMs);
  });

  test("turning away counts, enters nothing, and a free slot turns nobody away", async () => {
    const { to, slot } = full({ queueMax: 0 });
    expect([to.turnAway() !== undefined, to.waiting, to.refusals.full]).toEqual([true, 0, 1]);
    slot.leave("ok");
    expect([to.turnAway(), to.refusals.full]).toEqual([undefined, 1]);
  });
});

describe("retry advice", () => {
  test("grows with what was refused, never beyond its bounds, and differs from client to client", async () => {
    const to = admission({ queriesMax: 1, queueMax: 0, limitWindowMs: 1 });
    let slot = to.enter(applicant()) as Slot;
    for (let i = 0; i < 40; i++) {
      await clock.run(clock.now() + 10);
      slot.leave("ok");
      slot = to.enter(applicant()) as Slot;
    }
    const first = to.turnAway() as number;
    expect(first).toBeGreaterThanOrEqual(200);
    expect(first).toBeLessThanOrEqual(400);
    const advices = Array.from({ length: 400 }, () => to.turnAway() as number);
    // 400 refused, a hundred answered in a second.
    expect(advices.at(-1)).toBeGreaterThanOrEqual(3_900);
    expect(advices.at(-1)).toBeLessThanOrEqual(8_100);
    expect(new Set(advices.slice(-50)).size).toBeGreaterThan(25);
    for (let i = 0; i < 10_000; i++) expect(to.turnAway()).toBeLessThanOrEqual(ADMISSION_DEFAULTS.retryAfterMaxMs);
    await clock.run(clock.now() + 3_000);
    expect(to.turnAway()).toBeLessThanOrEqual(400);
  });
});

describe("the limit", () => {
  /** `times` windows in which as many as the limit are under way, each for `ms`. */
  async function windows(to: Admission, times: number, ms: number, outcome: "ok" | "late" | "dropped" = "ok") {
    for (let i = 0; i < times; i++) {
      const slots = Array.from({ length: to.limit }, () => to.enter(applicant()) as Slot);
      await clock.run(clock.now() + ms);
      for (const slot of slots) slot.leave(outcome);
    }
  }
  /** Learns what a query takes without load. */
  async function calm(to: Admission, ms: number, queries = 60) {
    for (let i = 0; i < queries; i++) {
      const slot = to.enter(applicant()) as Slot;
      await clock.run(clock.now() + ms);
      slot.leave("ok");
    }
  }

  test("grows while latency stays, up to queriesMax", async () => {
    const to = admission({ queriesMax: 100 });
    await calm(to, 100);
    await windows(to, 50, 100);
    expect(to.limit).toBe(100);
  });

  test("shrinks when latency grows with it", async () => {
    const to = admission();
    await calm(to, 20);
    // As long as there are many: a mesh that serves four at once.
    for (let i = 0; i < 60; i++) await windows(to, 1, Math.max(20, 5 * to.limit));
    expect(to.limit).toBeLessThanOrEqual(10);
    expect(to.limit).toBeGreaterThanOrEqual(ADMISSION_DEFAULTS.concurrencyMin);
  });

  test("does not move while it is not used", async () => {
    const to = admission();
    await calm(to, 20, 200);
    await calm(to, 400, 200);
    expect(to.limit).toBe(ADMISSION_DEFAULTS.concurrencyInitial);
  });

  test.each(["dropped", "late"] as const)("shrinks when queries are %s", async (outcome) => {
    const to = admission();
    await calm(to, 100);
    await windows(to, 10, outcome === "late" ? 1_000 : 101, outcome);
    expect(to.limit).toBeLessThan(ADMISSION_DEFAULTS.concurrencyInitial / 2);
  });

  test("is not moved by clients whose deadlines nothing could keep", async () => {
    const to = admission({ queriesMax: 32 });
    await calm(to, 100);
    for (let i = 0; i < 50; i++) {
      await windows(to, 1, 10, "late");
      await windows(to, 1, 100, "ok");
    }
    expect(to.limit).toBe(32);
  });

  test("shrinks when the event loop is late, whatever the shards take", async () => {
    const to = admission();
    await calm(to, 100);
    loopDelay = ADMISSION_DEFAULTS.loopDelayMaxMs + 1;
    await windows(to, 100, 100);
    expect(to.limit).toBeLessThanOrEqual(ADMISSION_DEFAULTS.concurrencyMin + 2);
  });

  test("under lasting load it is halved for a moment once a period, so that latency without load stays known", async () => {
    const to = admission({ queriesMax: 64 });
    await calm(to, 100);
    await windows(to, 100, 100);
    expect(to.limit).toBe(64);
    let probes = 0;
    for (let i = 0; i < 1_200; i++) {
      const slots = Array.from({ length: 64 }, () =>
        to.inFlight < to.limit ? (to.enter(applicant()) as Slot) : undefined,
      );
      if (to.limit === 32) probes++;
      await clock.run(clock.now() + 100);
      for (const slot of slots) slot?.leave("ok");
    }
    // Two minutes, four periods; a probe ends when it knows enough.
    expect(probes).toBeGreaterThanOrEqual(2);
    expect(probes).toBeLessThanOrEqual(4 * 5);
  });

  test("whatever happens: within its bounds, nobody is forgotten, and every slot comes back", async () => {
    const happening = fc.record({ pause: fc.integer({ min: 0, max: 400 }), ms: fc.integer({ min: 1, max: 3_000 }) });
    const outcomes = fc.constantFrom("ok", "late", "dropped", "ignored", "abort") as fc.Arbitrary<"ok" | "abort">;
    const happenings = fc.array(fc.tuple(happening, outcomes), { maxLength: 300 });
    await fc.assert(
      fc.asyncProperty(happenings, fc.integer({ min: 1, max: 50 }), async (all, queriesMax) => {
        clock = new VirtualClock();
        const to = admission({ queriesMax, queueMax: 20 });
        const ends: Promise<unknown>[] = [];
        for (const [{ pause, ms }, outcome] of all) {
          await clock.run(clock.now() + pause);
          const gone = new AbortController();
          const deadline = clock.now() + 5_000;
          if (outcome === "abort") clock.after(ms, () => gone.abort("gone"));
          const ended = (async () => to.enter(applicant({ deadline, signal: gone.signal })))().then((slot) => {
            expect(to.inFlight).toBeLessThanOrEqual(queriesMax);
            clock.after(ms, () => slot.leave(outcome === "abort" ? "ignored" : outcome));
          });
          ends.push(ended.catch(() => undefined));
          expect(to.limit).toBeGreaterThanOrEqual(1);
          expect(to.limit).toBeLessThanOrEqual(queriesMax);
          expect(to.waiting).toBeLessThanOrEqual(20);
        }
        await settle();
        await clock.run(clock.now() + 60_000);
        await Promise.all(ends);
        expect([to.inFlight, to.waiting]).toEqual([0, 0]);
      }),
      { numRuns: 50 },
    );
  });
});
