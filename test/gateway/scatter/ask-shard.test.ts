import { describe, expect, test } from "vitest";
import { Fault } from "../../../src/fault/fault.ts";
import { askShard, openShardStream } from "../../../src/gateway/scatter/ask-shard.ts";
import { SCATTER_POLICY } from "../../../src/gateway/scatter/scatter-policy.ts";
import { type StepEvent, stepChannel } from "../../../src/telemetry/step-channel.ts";
import {
  type Bench,
  type GivenCall,
  questionOf,
  ScriptedTransport,
  scriptedAsker,
  stampOf,
} from "./scripted-transport.ts";

const { delayMaxMs } = SCATTER_POLICY.hedge;
const lost = () => new Fault("shard-unavailable", "ask shard: connection lost", { reason: "CONNECTION_LOST" });
const silent = () => new Fault("shard-unavailable", "ask shard: its stream is silent", { reason: "STREAM_SILENT" });
const forEver = new AbortController().signal;
const nodes = (calls: readonly GivenCall[]) => calls.map(({ node }) => node);
const ask = (bench: Bench, change: Parameters<typeof questionOf>[1] = {}, signal = forEver) => {
  const asked = askShard(bench.asker, questionOf(bench, change), signal);
  asked.catch(() => undefined);
  return asked;
};

/** Steps that were published while `work` ran. */
async function stepsOf(work: () => Promise<void>): Promise<StepEvent[]> {
  const events: StepEvent[] = [];
  const nothing = () => {};
  const subscription = {
    start: (e: StepEvent) => void events.push(e),
    end: nothing,
    asyncStart: nothing,
    asyncEnd: nothing,
    error: nothing,
  };
  stepChannel.subscribe(subscription);
  try {
    await work();
  } finally {
    stepChannel.unsubscribe(subscription);
  }
  return events;
}

describe("an overdue call", () => {
  test("is asked at another placement too; the first answer is taken, and the other call is cancelled at once", async () => {
    const transport = new ScriptedTransport();
    const bench = scriptedAsker(transport);
    const asked = ask(bench);
    await bench.clock.run(delayMaxMs - 1);
    expect(transport.calls.length).toBe(1);
    await bench.clock.run(delayMaxMs + 1);
    expect(new Set(nodes(transport.calls)).size).toBe(2);
    const [first, hedge] = transport.calls;
    hedge!.reply();
    const { call } = await asked;
    expect(first!.isCancelled).toBe(true);
    expect(hedge!.isCancelled).toBe(false);
    expect(call).toMatchObject({ node: hedge!.node, wonBy: "hedge", attempts: 2, hedged: true, queuedMs: 0 });
    expect(call.totalMs).toBeGreaterThan(call.tookMs);
  });

  test("that answers after all wins, and its hedge is cancelled", async () => {
    const transport = new ScriptedTransport();
    const bench = scriptedAsker(transport);
    const asked = ask(bench);
    await bench.clock.run(delayMaxMs + 1);
    transport.calls[0]!.reply();
    expect((await asked).call).toMatchObject({ wonBy: "first", hedged: true });
    expect(transport.calls[1]!.isCancelled).toBe(true);
  });

  test("is answered once, although both answer and nobody heeds that one was cancelled", async () => {
    const transport = new ScriptedTransport(undefined, false);
    const bench = scriptedAsker(transport);
    let answers = 0;
    const asked = ask(bench).then(() => answers++);
    await bench.clock.run(delayMaxMs + 1);
    for (const call of transport.calls) call.reply();
    await asked;
    await bench.clock.run();
    expect(answers).toBe(1);
    expect(transport.calls.length).toBe(2);
    expect(bench.asker.book.replicas(questionOf(bench).replicas).map(({ inFlight }) => inFlight)).toEqual([0, 0]);
  });

  test("whose hedge fails is waited for", async () => {
    const transport = new ScriptedTransport();
    const bench = scriptedAsker(transport);
    const asked = ask(bench);
    await bench.clock.run(delayMaxMs + 1);
    transport.calls[1]!.fail(lost());
    await bench.clock.run(delayMaxMs + 10);
    transport.calls[0]!.reply();
    expect((await asked).call.wonBy).toBe("first");
  });

  test("that fails leaves the question to its hedge, and takes no retry", async () => {
    const transport = new ScriptedTransport();
    const bench = scriptedAsker(transport);
    const asked = ask(bench);
    await bench.clock.run(delayMaxMs + 1);
    transport.calls[0]!.fail(lost());
    await bench.clock.run(delayMaxMs + 10);
    expect(transport.calls.length).toBe(2);
    transport.calls[1]!.reply();
    expect((await asked).call.wonBy).toBe("hedge");
  });

  test("with a fault of the request ends the question, whatever its hedge would say", async () => {
    const transport = new ScriptedTransport();
    const bench = scriptedAsker(transport);
    const asked = ask(bench);
    await bench.clock.run(delayMaxMs + 1);
    transport.calls[0]!.fail(new Fault("invalid-request", "from is after to"));
    await expect(asked).rejects.toThrow("from is after to");
    expect(transport.calls[1]!.isCancelled).toBe(true);
  });

  test.each([
    ["of a method whose answers may differ", { plan: { deterministic: false } as never }],
    ["of a shard with one placement", { replicaCount: 1 }],
  ])("%s is not hedged", async (_name, change) => {
    const transport = new ScriptedTransport();
    const bench = scriptedAsker(transport);
    const asked = ask(bench, change);
    await bench.clock.run(9_000);
    expect(transport.calls.length).toBe(1);
    transport.calls[0]!.reply();
    await asked;
  });

  test("is not hedged at a share of 0, nor beyond the budget, which is told", async () => {
    for (const burst of [0, 2]) {
      const transport = new ScriptedTransport();
      const extra = { share: burst === 0 ? 0 : 0.001, burst, perSecond: 0 };
      const bench = scriptedAsker(transport, { extra });
      const steps = await stepsOf(async () => {
        for (let shard = 0; shard < 5; shard++) {
          const expected = { ...questionOf(bench).expected, shard };
          // Many that are in time, so that a few that are not are the minority.
          for (let i = 0; i < 20; i++) {
            ask(bench, { expected });
            transport.calls.pop()!.reply();
            await bench.clock.run(bench.clock.monotonic());
          }
          ask(bench, { expected });
          await bench.clock.run(bench.clock.monotonic() + 500);
        }
      });
      expect(transport.calls.length).toBe(5 + burst);
      const withheld = steps.filter((event) => event.step === "call withheld").map(({ facts }) => facts.why);
      expect(withheld).toEqual(burst === 0 ? [] : ["budget", "budget", "budget"]);
    }
  });

  test("is load when most are: no hedge then", async () => {
    const transport = new ScriptedTransport();
    const bench = scriptedAsker(transport);
    const steps = await stepsOf(async () => {
      for (let shard = 0; shard < 16; shard++) ask(bench, { expected: { ...questionOf(bench).expected, shard } });
      await bench.clock.run(1_000);
    });
    expect(transport.calls.length).toBe(16);
    expect(new Set(steps.filter((event) => event.step === "call withheld").map(({ facts }) => facts.why))).toEqual(
      new Set(["most are slow"]),
    );
  });

  test("goes to another placement only: with three, never back to the first", async () => {
    for (let turn = 0; turn < 6; turn++) {
      const transport = new ScriptedTransport();
      const bench = scriptedAsker(transport);
      for (let i = 0; i < turn; i++) bench.asker.book.nextTurn(0);
      const asked = ask(bench, { replicaCount: 3 });
      await bench.clock.run(delayMaxMs + 1);
      expect(new Set(nodes(transport.calls)).size).toBe(2);
      transport.calls[1]!.reply();
      await asked;
    }
  });

  test("opens a stream at another placement before its first row, and the loser is cancelled", async () => {
    const transport = new ScriptedTransport();
    const bench = scriptedAsker(transport);
    const query = new AbortController();
    const asked = openShardStream(bench.asker, questionOf(bench), query.signal);
    await bench.clock.run(delayMaxMs + 1);
    const [first, hedge] = transport.calls;
    hedge!.reply();
    expect((await asked).call.wonBy).toBe("hedge");
    expect([first!.isCancelled, hedge!.isCancelled]).toEqual([true, false]);
    await bench.clock.run(5_000);
    expect(transport.calls.length).toBe(2);
    // Its rows are under way until the query ends.
    query.abort();
    expect(hedge!.isCancelled).toBe(true);
  });
});

describe("further tries", () => {
  test("a lost call is asked once more at another placement", async () => {
    const transport = new ScriptedTransport();
    const bench = scriptedAsker(transport);
    const asked = ask(bench);
    transport.calls[0]!.fail(lost());
    await bench.clock.run(1);
    expect(new Set(nodes(transport.calls)).size).toBe(2);
    transport.calls[1]!.reply();
    expect((await asked).call).toMatchObject({ wonBy: "retry", attempts: 2, hedged: false });
  });

  test("the only placement is asked again after a moment", async () => {
    const transport = new ScriptedTransport();
    const bench = scriptedAsker(transport);
    const asked = ask(bench, { replicaCount: 1 });
    transport.calls[0]!.fail(lost());
    await bench.clock.run(SCATTER_POLICY.retryAfterMs - 1);
    expect(transport.calls.length).toBe(1);
    await bench.clock.run(SCATTER_POLICY.retryAfterMs);
    transport.calls[1]!.reply();
    expect((await asked).call.wonBy).toBe("retry");
  });

  test("without budget the first fault is the answer, with its reason, and that it was withheld is told", async () => {
    const transport = new ScriptedTransport((call) => call.fail(lost()));
    const none = { share: 0, burst: 0, perSecond: 0 };
    const bench = scriptedAsker(transport, { retry: none });
    const steps = await stepsOf(async () => {
      await expect(ask(bench)).rejects.toMatchObject({
        id: "shard-unavailable",
        detail: { reason: "CONNECTION_LOST" },
      });
    });
    expect(transport.calls.length).toBe(1);
    expect(steps.find((event) => event.step === "call withheld")?.facts).toMatchObject({
      kind: "retry",
      why: "budget",
    });
  });

  test("with little time left nothing is tried again", async () => {
    const transport = new ScriptedTransport((call) => call.fail(lost()));
    const bench = scriptedAsker(transport);
    await expect(ask(bench, { deadline: SCATTER_POLICY.retryTimeLeftMs })).rejects.toThrow("connection lost");
    expect(transport.calls.length).toBe(1);
  });

  test("calls that are lost together are paid from the failover budget and leave the retries alone", async () => {
    const transport = new ScriptedTransport();
    const bench = scriptedAsker(transport, { retry: { share: 0, burst: 2, perSecond: 0 } });
    const asked = Array.from({ length: 40 }, () => ask(bench));
    const onA = transport.calls.filter(({ node }) => node === "a");
    const before = transport.calls.length;
    for (const call of onA) call.fail(lost());
    await bench.clock.run(1);
    expect(transport.calls.length).toBe(before + onA.length);
    expect(transport.calls.slice(before).every(({ node }) => node === "b")).toBe(true);
    for (const call of transport.calls) call.reply();
    const won = (await Promise.all(asked)).map(({ call }) => call.wonBy);
    expect(won.filter((kind) => kind === "retry").length).toBe(2);
    expect(won.filter((kind) => kind === "failover").length).toBe(onA.length - 2);
  });

  test("a stream that the transport says is silent fails over at once, and its placement is left out", async () => {
    const transport = new ScriptedTransport();
    const bench = scriptedAsker(transport, { retry: { share: 0, burst: 0, perSecond: 0 } });
    const asked = ask(bench);
    const gone = transport.calls[0]!.node;
    transport.calls[0]!.fail(silent());
    await bench.clock.run(1);
    transport.calls[1]!.reply();
    expect((await asked).call.wonBy).toBe("failover");
    for (let i = 0; i < 10; i++) ask(bench);
    expect(nodes(transport.calls.slice(2))).not.toContain(gone);
  });

  test("a dying mesh does not double its load: without failover budget each call says why it was lost", async () => {
    const transport = new ScriptedTransport((call) => call.fail(silent()));
    const bench = scriptedAsker(transport, { failover: { share: 0, burst: 5, perSecond: 0 } });
    const outcomes = await Promise.allSettled(Array.from({ length: 50 }, () => ask(bench)));
    expect(transport.calls.length).toBe(55);
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({ status: "rejected", reason: { detail: { reason: "STREAM_SILENT" } } });
    }
  });

  test("a reply with another stamp is no answer, from a hedge neither", async () => {
    const transport = new ScriptedTransport();
    const bench = scriptedAsker(transport);
    const asked = ask(bench);
    await bench.clock.run(delayMaxMs + 1);
    transport.calls[1]!.reply({ ...stampOf(transport.calls[1]!), stateDigest: "other" });
    await bench.clock.run(delayMaxMs + 2);
    transport.calls[0]!.reply();
    expect((await asked).call.wonBy).toBe("first");
  });
});

describe("the end of a query", () => {
  test("stops all calls of all its questions, with what stopped it", async () => {
    const transport = new ScriptedTransport();
    const bench = scriptedAsker(transport);
    const query = new AbortController();
    const asked = [0, 1, 2].map((shard) =>
      ask(bench, { expected: { ...questionOf(bench).expected, shard } }, query.signal),
    );
    const other = ask(bench);
    query.abort(new Fault("cancelled", "the client has gone"));
    for (const one of asked) await expect(one).rejects.toThrow("the client has gone");
    expect(transport.calls.map(({ isCancelled }) => isCancelled)).toEqual([true, true, true, false]);
    await expect(ask(bench, {}, query.signal)).rejects.toThrow("the client has gone");
    expect(transport.calls.length).toBe(4);
    transport.calls[3]!.reply();
    await other;
    expect(bench.asker.wheel.size).toBe(0);
  });

  test("also ends a wait for the only placement", async () => {
    const transport = new ScriptedTransport();
    const bench = scriptedAsker(transport);
    const query = new AbortController();
    const asked = ask(bench, { replicaCount: 1 }, query.signal);
    transport.calls[0]!.fail(lost());
    await bench.clock.run(1);
    query.abort(new Fault("cancelled", "the client has gone"));
    await expect(asked).rejects.toThrow("the client has gone");
    await bench.clock.run();
    expect(transport.calls.length).toBe(1);
  });
});

describe("room at placements", () => {
  const crowded = (waitingMax: number) => {
    const transport = new ScriptedTransport();
    const inFlightLimit = { start: 2, min: 2, max: 2 };
    const replica = { ...SCATTER_POLICY.replica, inFlightLimit, waitingMax };
    return scriptedAsker(transport, { replica });
  };

  test("beyond the limits of all placements a call waits, and takes the first room there is", async () => {
    const bench = crowded(10);
    const asked = Array.from({ length: 5 }, () => ask(bench));
    expect(bench.transport.calls.length).toBe(4);
    await bench.clock.run(50);
    bench.transport.calls[2]!.reply();
    await bench.clock.run(50);
    expect(bench.transport.calls.length).toBe(5);
    expect(bench.transport.calls[4]!.node).toBe(bench.transport.calls[2]!.node);
    for (const call of bench.transport.calls) call.reply();
    expect((await asked[4]!).call.queuedMs).toBe(50);
  });

  test("one that has given up takes no room", async () => {
    const bench = crowded(10);
    for (let i = 0; i < 4; i++) ask(bench);
    const query = new AbortController();
    const gone = ask(bench, {}, query.signal);
    ask(bench);
    query.abort(new Fault("cancelled", "the client has gone"));
    await expect(gone).rejects.toThrow("the client has gone");
    bench.transport.calls[0]!.reply();
    await bench.clock.run(1);
    expect(bench.transport.calls.length).toBe(5);
  });

  test("more than may wait are refused as overload", async () => {
    const bench = crowded(1);
    for (let i = 0; i < 5; i++) ask(bench);
    await expect(ask(bench)).rejects.toMatchObject({ id: "overloaded", detail: { retryAfterMs: 200 } });
  });
});

describe("a question that waits for room", () => {
  const oneCall = { replica: { ...SCATTER_POLICY.replica, inFlightLimit: { start: 1, min: 1, max: 1 } } };

  test("is given up at its deadline, and its turn is nobody's", async () => {
    const transport = new ScriptedTransport();
    const bench = scriptedAsker(transport, oneCall);
    const ahead = ask(bench, { replicaCount: 1, deadline: 60_000 });
    const waits = ask(bench, { replicaCount: 1, deadline: 500 });
    let fault: Fault | undefined;
    waits.catch((error: Fault) => {
      fault = error;
    });
    await bench.clock.run(499);
    expect(fault).toBeUndefined();
    await bench.clock.run(500);
    expect(fault).toMatchObject({ id: "deadline-exceeded", detail: { shard: 0 } });
    transport.calls[0]!.reply();
    await ahead;
    await bench.clock.run(1_000);
    expect(transport.calls.length).toBe(1);
  });

  test("has its deadline from the transport once it was let in", async () => {
    const transport = new ScriptedTransport();
    const bench = scriptedAsker(transport, oneCall);
    const ahead = ask(bench, { replicaCount: 1, deadline: 60_000 });
    const waits = ask(bench, { replicaCount: 1, deadline: 500 });
    await bench.clock.run(400);
    transport.calls[0]!.reply();
    await ahead;
    await bench.clock.run(600);
    transport.calls[1]!.reply();
    expect((await waits).call.queuedMs).toBe(400);
  });
});
