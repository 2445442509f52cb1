import { create, toBinary } from "@bufbuild/protobuf";
import { afterEach, describe, expect, test } from "vitest";
import { Fault } from "../../../src/fault/fault.ts";
import { MergeRun } from "../../../src/gateway/merge-threads/merge-run.ts";
import { MergeThread, type ThreadListener } from "../../../src/gateway/merge-threads/merge-thread.ts";
import { MergeThreads, type TakenThread } from "../../../src/gateway/merge-threads/merge-threads.ts";
import { compileMethod } from "../../../src/merge-plan/compile-method.ts";
import type { MethodPlan } from "../../../src/merge-plan/method-plan.ts";
import { systemClock } from "../../../src/process/clock.ts";
import { methodsOf, rule } from "../../merge-plan/annotated-service.ts";
import { VirtualClock } from "../../process/virtual-clock.ts";

const METHOD = methodsOf({
  messages: {
    Req: [],
    Entry: [
      { name: "k", type: "string" },
      { name: "n", type: "int64", merge: rule("sum") },
    ],
    Res: [{ name: "groups", type: "repeated Entry", merge: rule("group", { key: ["k"] }) }],
  },
})[0]!;
const PLAN = compileMethod(METHOD);

/** Remembers the thread that it gave away last. */
class WatchedThreads extends MergeThreads {
  last: MergeThread | undefined;

  override take(plan: MethodPlan, listener: ThreadListener): TakenThread | undefined {
    const taken = super.take(plan, listener);
    this.last = taken?.thread;
    return taken;
  }
}

const opened: MergeThreads[] = [];
afterEach(() => Promise.all(opened.splice(0).map((threads) => threads.close())));

function threadsOf(max = 1, clock = systemClock): WatchedThreads {
  const threads = new WatchedThreads(max, clock);
  opened.push(threads);
  return threads;
}

interface RunOptions {
  readonly threadBytes?: number;
  readonly shards?: number;
  readonly hold?: (bytes: number) => void;
  readonly signal?: AbortSignal;
}

function runOf(threads: MergeThreads, { threadBytes = 0, shards = 2, hold, signal }: RunOptions = {}): MergeRun {
  return new MergeRun({
    plan: PLAN,
    request: create(METHOD.input),
    shards: [...Array(shards).keys()],
    limits: { groupBytesMax: 2 ** 28, ...(hold === undefined ? {} : { hold }) },
    clock: systemClock,
    signal: signal ?? new AbortController().signal,
    threads,
    threadBytes,
  });
}

function partial(merge: MergeRun, shard: number, groups: number) {
  const message = create(METHOD.output, {
    groups: Array.from({ length: groups }, (_, n) => ({ k: `key ${shard} ${n}`, n: 1n })),
  } as Record<string, unknown>);
  return { shard, request: requests.get(merge)![shard]!, message: toBinary(METHOD.output, message), bounds: undefined };
}

/** Of merges that have begun. */
const requests = new WeakMap<MergeRun, ReturnType<MergeRun["begin"]>>();

function begun(merge: MergeRun): MergeRun {
  requests.set(merge, merge.begin());
  return merge;
}

async function answered(merge: MergeRun, shards = 2): Promise<Buffer> {
  for (let shard = 0; shard < shards; shard++) await merge.accept(partial(merge, shard, 3), true);
  expect(await merge.next()).toEqual([]);
  const bytes = Buffer.concat(await merge.finish());
  merge.close();
  return bytes;
}

async function until(holds: () => boolean): Promise<void> {
  const end = Date.now() + 20_000;
  while (!holds()) {
    if (Date.now() > end) throw new Error("waited 20 s");
    await new Promise(setImmediate);
  }
}

describe("where a merge runs", () => {
  test("a small one here, without a thread being started; a large one in a thread, with the same answer", async () => {
    const threads = threadsOf();
    const small = begun(runOf(threads, { threadBytes: 1_000_000 }));
    const expected = await answered(small);
    expect([small.isInThread, threads.size]).toEqual([false, 0]);
    const large = begun(runOf(threads));
    expect(await answered(large)).toEqual(expected);
    expect([large.isInThread, threads.size]).toEqual([true, 1]);
  });

  test("what is expected is the first partial's bytes, from every shard", async () => {
    const threads = threadsOf();
    const [few, many] = [
      begun(runOf(threads, { threadBytes: 1_000 })),
      begun(runOf(threads, { threadBytes: 1_000, shards: 20 })),
    ];
    const first = partial(few, 0, 4);
    expect(first.message.length * 2).toBeLessThan(1_000);
    await few.accept(first, true);
    await many.accept(partial(many, 0, 4), true);
    expect([few.isInThread, many.isInThread]).toEqual([false, true]);
  });

  test("while all threads are at work others merge here, and a thread that is done is taken again", async () => {
    const threads = threadsOf(1);
    const first = begun(runOf(threads));
    await first.accept(partial(first, 0, 3), true);
    const second = begun(runOf(threads));
    const here = await answered(second);
    expect([first.isInThread, second.isInThread, threads.size]).toEqual([true, false, 1]);
    await first.accept(partial(first, 1, 3), true);
    expect(Buffer.concat(await first.finish())).toEqual(here);
    first.close();
    await until(() => threads.busy === 0);
    const third = begun(runOf(threads));
    expect(await answered(third)).toEqual(here);
    expect([third.isInThread, threads.size]).toEqual([true, 1]);
  });

  test("no threads: everything runs here", async () => {
    const merge = begun(runOf(threadsOf(0)));
    await answered(merge);
    expect(merge.isInThread).toBe(false);
  });

  test("more plans than a thread keeps", async () => {
    const threads = threadsOf();
    const wanted = await answered(begun(runOf(threads)));
    for (let n = 0; n < 70; n++) {
      await until(() => threads.busy === 0);
      const { signal } = new AbortController();
      const plan = { ...PLAN };
      const parts = { plan, request: create(METHOD.input), shards: [0, 1], limits: { groupBytesMax: 2 ** 20 } };
      const merge = begun(new MergeRun({ ...parts, clock: systemClock, signal, threads, threadBytes: 0 }));
      expect(await answered(merge)).toEqual(wanted);
      expect(merge.isInThread).toBe(true);
    }
  });
});

describe("bytes", () => {
  test("are handed over when they are given, and stay when somebody else reads them", async () => {
    const merge = begun(runOf(threadsOf()));
    const [given, shown] = [partial(merge, 0, 3), partial(merge, 1, 3)];
    await merge.accept(given, true);
    await merge.accept(shown, false);
    expect(given.message.length).toBe(0);
    expect(shown.message.length).toBeGreaterThan(0);
    merge.close();
  });
});

describe("a merge in a thread that nobody waits for", () => {
  test("ends when its signal aborts, in the middle of a partial, and the thread is free", async () => {
    const threads = threadsOf();
    const stop = new AbortController();
    const merge = begun(runOf(threads, { signal: stop.signal }));
    const accepting = merge.accept(partial(merge, 0, 100_000), true);
    const reason = new Fault("deadline-exceeded", "too late");
    stop.abort(reason);
    await expect(accepting).rejects.toBe(reason);
    await expect(merge.finish()).rejects.toBe(reason);
    merge.close();
    await until(() => threads.busy === 0);
    const next = begun(runOf(threads));
    await answered(next);
    expect(next.isInThread).toBe(true);
  });

  test("a thread that does not let go of its merge is ended", async () => {
    const clock = new VirtualClock();
    const deaf = new URL("data:text/javascript,setInterval(() => {}, 1000)");
    const gone = Promise.withResolvers<void>();
    const told: string[] = [];
    const thread = new MergeThread(deaf, clock, { free: () => void told.push("free"), gone: () => gone.resolve() });
    const listener = { done() {}, failed() {}, needs() {}, lost: () => void told.push("lost") };
    thread.begin(PLAN, listener);
    thread.end();
    await clock.pass(9_999);
    expect(thread.isEnding).toBe(false);
    await clock.pass(1);
    expect(thread.isEnding).toBe(true);
    await gone.promise;
    expect(told).toEqual([]);
  });
});

describe("a thread that dies", () => {
  test("fails the one merge that it worked for; the next one has a new thread", async () => {
    const threads = threadsOf(2);
    const [first, other] = [begun(runOf(threads)), begun(runOf(threads))];
    await first.accept(partial(first, 0, 3), true);
    const dying = threads.last!;
    await other.accept(partial(other, 0, 3), true);
    const accepting = first.accept(partial(first, 1, 50_000), true) as Promise<void>;
    const failing = expect(accepting).rejects.toMatchObject({ id: "internal", message: /the merge thread has gone/ });
    await dying.close();
    await failing;
    await expect(Promise.resolve(first.exclude(1))).rejects.toMatchObject({ id: "internal" });
    await expect(first.finish()).rejects.toMatchObject({ id: "internal" });
    first.close();
    await other.accept(partial(other, 1, 3), true);
    expect(Buffer.concat(await other.finish()).length).toBeGreaterThan(0);
    const next = begun(runOf(threads));
    await answered(next);
    expect([next.isInThread, threads.deaths]).toEqual([true, 1]);
  });
});

function counter(into: { held: number }): (bytes: number) => void {
  return (bytes) => {
    into.held += bytes;
  };
}

describe("memory", () => {
  test("is asked for as groups are made, and a refusal ends the merge with its fault", async () => {
    const threads = threadsOf();
    const first = { held: 0 };
    const counting = begun(runOf(threads, { hold: counter(first) }));
    await counting.accept(partial(counting, 0, 20_000), true);
    const here = { held: 0 };
    const local = begun(runOf(threadsOf(0), { hold: counter(here) }));
    await local.accept(partial(local, 0, 20_000), true);
    expect(first.held).toBeGreaterThanOrEqual(here.held);
    expect(first.held).toBeLessThan(here.held + 128 * 1024);
    counting.close();
    await until(() => threads.busy === 0);

    const refusal = new Fault("overloaded", "no more");
    let taken = 0;
    const refused = begun(
      runOf(threads, {
        hold: (bytes) => {
          if (taken + bytes > 500_000) throw refusal;
          taken += bytes;
        },
      }),
    );
    await expect(refused.accept(partial(refused, 0, 100_000), true)).rejects.toBe(refusal);
    refused.close();
    await until(() => threads.busy === 0);
    expect(taken).toBeLessThanOrEqual(500_000);
  });
});
