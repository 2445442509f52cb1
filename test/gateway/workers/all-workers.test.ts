import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { Fault } from "../../../src/fault/fault.ts";
import { AllWorkers, type Worker } from "../../../src/gateway/workers/all-workers.ts";
import { statusToWords } from "../../../src/gateway/workers/worker-words.ts";
import type { MessageLink } from "../../../src/process/message-link.ts";
import { SnapshotUseSchema } from "../../../src/wire/generated/skynetes/v1/gateway_admin_pb.ts";

type ScriptedWorker = Worker & { isListening: boolean };

/** `answer` may end the worker before it throws. */
function worker(answer: (self: ScriptedWorker) => unknown): ScriptedWorker {
  const link = { ask: async () => answer(self) } as unknown as MessageLink;
  const self: ScriptedWorker = { name: "worker", isListening: true, kill() {}, link };
  return self;
}

const together = (...workers: Worker[]) =>
  new AllWorkers({ count: workers.length, running: () => workers, metrics: async () => "" });

const using = (epoch: bigint, queries: number) => {
  const inUse = [create(SnapshotUseSchema, { snapshot: "s1", version: "v1", queries, oldestEpoch: epoch })];
  const differences = [{ shard: 1, snapshot: "s1", version: "v1", nodes: [`node-${epoch}`] }];
  return worker(() => statusToWords({ epoch, tableSha256: `table ${epoch}`, inUse, differences }));
};

const late = new Fault("deadline-exceeded", "ask worker for status: no answer within 5000 ms");
const silent = () =>
  worker(() => {
    throw late;
  });

test("the status of all is the oldest table, the queries and what audits found of all", async () => {
  const { inUse, differences, ...status } = await together(using(3n, 1), using(2n, 4)).status();
  expect(status).toEqual({ epoch: 2n, tableSha256: "table 2" });
  expect(inUse).toMatchObject([{ snapshot: "s1", version: "v1", queries: 5, oldestEpoch: 2n }]);
  expect(differences.flatMap(({ nodes }) => nodes).sort()).toEqual(["node-2", "node-3"]);
});

test("a status without a worker that runs is none: what that one uses would be taken for unused", async () => {
  await expect(together(using(3n, 1), silent()).status()).rejects.toBe(late);
  // Its channel is broken, its queries go on.
  const unheard = new Fault("not-ready", "worker: channel closed", { retryAfterMs: 500 });
  const broken = worker(() => {
    throw unheard;
  });
  await expect(together(broken, using(3n, 1)).status()).rejects.toBe(unheard);
});

test("a worker that has ended uses nothing", async () => {
  const ending = worker((self) => {
    self.isListening = false;
    throw new Fault("not-ready", "worker: it has ended, killed by SIGKILL", { retryAfterMs: 500 });
  });
  const { epoch, inUse } = await together(ending, using(3n, 2)).status();
  expect({ epoch, inUse }).toMatchObject({ epoch: 3n, inUse: [{ queries: 2 }] });
});

test("lists tell of those that answer", async () => {
  expect(await together(silent(), silent()).queries()).toEqual([]);
});
