import { expect, test } from "vitest";
import { Fault } from "../../src/fault/fault.ts";
import { systemClock } from "../../src/process/clock.ts";
import { type Answers, MessageLink, type MessagePort } from "../../src/process/message-link.ts";
import { VirtualClock } from "./virtual-clock.ts";

/** Two ends of one channel, with what structured clone does to a message between them. */
function channel(): [MessagePort, MessagePort] {
  const receivers: ((message: unknown) => void)[][] = [[], []];
  const port = (own: number, other: number): MessagePort => ({
    send: (message) => {
      const copy = structuredClone(message);
      queueMicrotask(() => {
        for (const receive of receivers[other] ?? []) receive(copy);
      });
    },
    onMessage: (receive) => void receivers[own]?.push(receive),
  });
  return [port(0, 1), port(1, 0)];
}

function linked(answers: Answers, clock = systemClock) {
  const [near, far] = channel();
  return {
    near: new MessageLink(near, clock, "the other", {}),
    far: new MessageLink(far, clock, "this", answers),
    port: far,
  };
}

test("answers come to their questions, whatever their order, and carry what structured clone carries", async () => {
  const release = Promise.withResolvers<bigint>();
  const { near } = linked({ slow: () => release.promise, quick: (body: Uint8Array) => body.length });
  const slow = near.ask<bigint>("slow", undefined, 1_000);
  expect(await near.ask("quick", new Uint8Array(3), 1_000)).toBe(3);
  release.resolve(2n ** 60n);
  expect(await slow).toBe(2n ** 60n);
});

test("a fault arrives as it was", async () => {
  const { near } = linked({
    fail: () => {
      throw new Fault("invalid-table", "broken on purpose", { retryAfterMs: 7 });
    },
  });
  const fault = await near.ask("fail", undefined, 1_000).catch((error: unknown) => error);
  expect(fault).toBeInstanceOf(Fault);
  expect(fault).toMatchObject({ id: "invalid-table", message: "broken on purpose", detail: { retryAfterMs: 7 } });
  await expect(near.ask("unheard", undefined, 1_000)).rejects.toMatchObject({ id: "internal" });
});

test("whoever waits for a side that has gone, or asks it later, is told", async () => {
  const { near } = linked({ never: () => new Promise(() => undefined) });
  const waiting = near.ask("never", undefined, 60_000);
  near.close("it has ended");
  await expect(waiting).rejects.toMatchObject({ id: "not-ready", message: "the other: it has ended" });
  await expect(near.ask("never", undefined, 60_000)).rejects.toMatchObject({ id: "not-ready" });
});

test("a side that does not answer is waited for as long as was said", async () => {
  const clock = new VirtualClock();
  const { near } = linked({ never: () => new Promise(() => undefined) }, clock);
  const waiting = near.ask("never", undefined, 500).catch((error: unknown) => error);
  await clock.run(500);
  expect(await waiting).toMatchObject({ id: "deadline-exceeded" });
});

test("other messages on the channel are not its own", async () => {
  const { near, port } = linked({ quick: () => 1 });
  port.send({ kind: "connection", id: 1 });
  expect(await near.ask("quick", undefined, 1_000)).toBe(1);
});
