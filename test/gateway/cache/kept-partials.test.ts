import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Fault } from "../../../src/fault/fault.ts";
import { PartialCache } from "../../../src/gateway/cache/partial-cache.ts";
import type { OpenQuery } from "../../../src/gateway/query/open-query.ts";
import type { ShardQuestion } from "../../../src/gateway/scatter/shard-question.ts";
import { PartialFormat } from "../../../src/wire/generated/skynetes/v1/shard_pb.ts";
import { V1, V2 } from "../scripted-mesh.ts";
import { type AskedShard, MemoryMesh, type MemoryMeshOptions, settled, stateOf } from "./memory-mesh.ts";

const PARTIAL = { kind: "partial", min: 0 } as const;
const one = (digests: string, version = V1) => ({ version, digests: [...digests] });

/** What a shard holds and how it answers is a function of its state, the version and the request, and of nothing else. */
const rowsOf = (shard: number, digest: string, version: string, number: bigint) =>
  BigInt(1 + shard) * 1_000_000n + BigInt(digest.charCodeAt(0)) * 1_000n + (version === V1 ? 0n : 500n) + number;

async function start(options: MemoryMeshOptions): Promise<MemoryMesh> {
  const mesh = await MemoryMesh.start(options);
  mesh.respond = (asked) => asked.answer(truth(mesh, asked));
  return mesh;
}

function truth(mesh: MemoryMesh, { call, request }: AskedShard): bigint {
  const { shard, snapshot, version } = call;
  const digest = mesh.state.snapshots.get(snapshot)!.shardSeals.get(shard)!.stateDigest;
  return rowsOf(shard, digest, version, request.number);
}

const asked = (mesh: MemoryMesh) => mesh.calls.splice(0).map(({ call }) => call.shard);

describe("partials that are kept", () => {
  test("a new snapshot asks the shards whose state has changed, and no other", async () => {
    const mesh = await start({ snapshots: { s1: one("abcd"), s2: one("abxd"), s3: one("abcd") } });
    await mesh.rows(mesh.ask());
    expect(asked(mesh)).toEqual([0, 1, 2, 3]);
    const second = await mesh.ask({ snapshot: "s2" });
    expect([asked(mesh), second.outcome.partials]).toEqual([[2], { asked: 4, found: 3 }]);
    expect(second.completeness).toMatchObject({ complete: true, rows: { expected: 400n, answered: 400n } });
    const third = await mesh.ask({ snapshot: "s3" });
    expect([asked(mesh), third.outcome.partials]).toEqual([[], { asked: 4, found: 4 }]);
    const expected = ["a", "b", "x", "d"].reduce((sum, digest, shard) => sum + rowsOf(shard, digest, V1, 0n), 0n);
    expect(await mesh.rows(Promise.resolve(second))).toBe(expected);
  });

  test("another version, another request and another shard of equal state have nothing of it", async () => {
    const mesh = await start({ snapshots: { s1: one("aa"), s2: one("aa", V2) } });
    await mesh.rows(mesh.ask());
    expect(asked(mesh)).toEqual([0, 1]);
    await mesh.rows(mesh.ask({ snapshot: "s2" }));
    expect(asked(mesh)).toEqual([0, 1]);
    await mesh.rows(mesh.ask({ body: { number: "1" } }));
    expect(asked(mesh)).toEqual([0, 1]);
  });

  test("a method that depends on its snapshot is kept for it alone; one that is not deterministic is not kept", async () => {
    const snapshots = { s1: one("ab"), s2: one("ab") };
    const dependent = await start({ snapshots, rule: { snapshotDependent: true } });
    await dependent.rows(dependent.ask());
    await dependent.rows(dependent.ask({ snapshot: "s2" }));
    expect(asked(dependent)).toEqual([0, 1, 0, 1]);
    await dependent.rows(dependent.ask({ snapshot: "s2", quality: PARTIAL }));
    expect(asked(dependent)).toEqual([]);
    const dice = await start({ snapshots, rule: { nondeterministic: true } });
    for (let time = 0; time < 2; time++) {
      const { outcome } = await dice.ask();
      expect(outcome).toEqual({ answer: "bypass", isCollapsed: false, isStored: false, partials: undefined });
    }
    expect(asked(dice)).toEqual([0, 1, 0, 1]);
  });

  test("a shard without a state digest is in no known state", async () => {
    const mesh = await start({
      snapshots: { s1: { version: V1, digests: ["a", ""] }, s2: { version: V1, digests: ["a", ""] } },
    });
    mesh.respond = (one) => one.answer(1n, { stateDigest: ["a", ""][one.call.shard]! });
    await mesh.rows(mesh.ask());
    asked(mesh);
    await mesh.rows(mesh.ask({ snapshot: "s2" }));
    expect(asked(mesh)).toEqual([1]);
  });

  test("a retry pays for the missing shards only, under strict and after a partial answer", async () => {
    for (const quality of [{ kind: "strict" } as const, PARTIAL]) {
      const mesh = await start({ snapshots: { s1: one("abc") } });
      mesh.respond = (one) => {
        if (one.call.shard === 2) one.fail(new Fault("shard-failed", "shard: broken", { shard: 2 }));
        else one.answer(truth(mesh, one));
      };
      const first = await mesh.ask({ quality }).catch((fault: Fault) => fault.id);
      expect(typeof first === "string" ? first : first.completeness.complete).toBe(
        quality.kind === "strict" ? "shard-failed" : false,
      );
      expect(asked(mesh)).toEqual([0, 1, 2]);
      await settled();
      mesh.respond = (one) => one.answer(truth(mesh, one));
      const { completeness, outcome } = await mesh.ask({ quality });
      expect([asked(mesh), completeness.complete, outcome.isStored]).toEqual([[2], true, true]);
    }
  });

  test("nothing is kept that was not vouched for, and nothing that the merge did not take", async () => {
    const mesh = await start({ snapshots: { s1: one("ab") } });
    const spoilt: readonly ((one: AskedShard) => void)[] = [
      (one) => one.answer(7n, { snapshot: "other" }),
      (one) => one.answer(7n, { stateDigest: "z" }),
      (one) => one.answer(7n, { serviceVersion: V2 }),
      (one) => one.garble(),
    ];
    for (const [number, spoil] of spoilt.entries()) {
      const body = { number: String(number) };
      mesh.respond = (one) => (one.call.shard === 1 ? spoil(one) : one.answer(truth(mesh, one)));
      const fault = mesh.ask({ body }).then(
        () => "answered",
        (error: Fault) => error.id,
      );
      await mesh.clock.pass(100);
      expect(await fault).toBe(number < 3 ? "stamp-mismatch" : "bad-partial");
      asked(mesh);
      mesh.respond = (one) => one.answer(truth(mesh, one));
      const right = rowsOf(0, "a", V1, BigInt(number)) + rowsOf(1, "b", V1, BigInt(number));
      expect(await mesh.rows(mesh.ask({ body }))).toBe(right);
      expect(asked(mesh)).toEqual([1]);
    }
  });

  test("an overflow is one whoever asks: that is no reason to ask the shards again", async () => {
    const mesh = await start({ snapshots: { s1: one("ab") } });
    mesh.respond = (one) => one.answer(2n ** 63n - 1n);
    for (let time = 0; time < 2; time++) await expect(mesh.ask()).rejects.toMatchObject({ id: "overflow" });
    expect(asked(mesh)).toEqual([0, 1]);
  });

  test("what the merge took and could not finish with is forgotten", async () => {
    const mesh = await start({ snapshots: { s1: one("ab") }, joins: false });
    const shared = mesh.gateway.shared;
    const query = mesh.prepare({});
    const waiter = { completeness: () => ({ complete: false }) } as unknown as OpenQuery;
    const expected = { shard: 0, snapshot: "s1", stateDigest: "a", serviceVersion: V1 };
    const question = { expected, request: Uint8Array.of(1) } as unknown as ShardQuestion;
    const reply = { stamp: expected, message: Buffer.of(1, 2), bounds: undefined };
    for (const [id, isKept] of [
      ["shard-failed", true],
      ["bad-partial", false],
      ["internal", false],
    ] as const) {
      const gather = shared.gather(query, waiter, async (_, partials) => {
        partials?.keep(question, reply);
        throw new Fault(id, "finish");
      });
      await expect(gather).rejects.toMatchObject({ id });
      await shared.gather(query, waiter, async (_, partials) => {
        expect(partials?.find(question)).toEqual(isKept ? reply : undefined);
        return [];
      });
    }
  });

  test("no-cache asks the shards, and its answer takes the place of the kept one; no-store leaves nothing", async () => {
    const mesh = await start({ snapshots: { s1: one("ab") } });
    const anew = { serve: false, store: true };
    await mesh.rows(mesh.ask());
    const fresh = await mesh.ask({ cache: anew });
    expect([asked(mesh), fresh.outcome]).toEqual([
      [0, 1, 0, 1],
      { answer: "request", isCollapsed: false, isStored: true, partials: { asked: 2, found: 0 } },
    ]);
    expect((await mesh.ask()).outcome.answer).toBe("hit");
    const body = { number: "1" };
    const secret = await mesh.ask({ body, cache: { serve: true, store: false } });
    expect(secret.outcome).toMatchObject({ answer: "miss", isStored: false });
    asked(mesh);
    expect((await mesh.ask({ body })).outcome.partials).toEqual({ asked: 2, found: 0 });
    expect((await mesh.ask({ body, cache: { serve: true, store: false } })).outcome.answer).toBe("hit");
  });

  test("of how a partial once came nothing is kept: only what it says", () => {
    const cache = new PartialCache(1_000_000);
    const stamp = { shard: 0, snapshot: "s1", stateDigest: "a", serviceVersion: V1 };
    const way = {
      transport: "stream",
      pod: "pod-0",
      callsInFrame: 7,
      timing: { queueUs: 5, serviceUs: 9000 },
    } as const;
    const call = { node: "a", wonBy: "hedge", attempts: 2, hedged: true, queuedMs: 3, tookMs: 400 };
    const said = { message: Buffer.of(1, 2), bounds: Buffer.of(3), format: PartialFormat.COLUMNS };
    cache.keep("k", stamp, { stamp, ...said, ...way, ...{ call } });
    expect(cache.find("k", { ...stamp, snapshot: "s2" })).toStrictEqual({
      ...said,
      stamp: { ...stamp, snapshot: "s2" },
    });
  });

  test("nothing is kept with no bytes to keep it in", async () => {
    const mesh = await start({ snapshots: { s1: one("ab") }, limits: { cacheBytesMax: 0 } });
    for (let time = 0; time < 2; time++) expect((await mesh.ask()).outcome.answer).toBe("bypass");
    expect(asked(mesh)).toEqual([0, 1, 0, 1]);
    expect(mesh.gateway.shared.counts).toEqual({});
  });
});

const digests = fc.array(fc.constantFrom("a", "b", "c"), { minLength: 3, maxLength: 3 });
const snapshot = fc.record({ version: fc.constantFrom(V1, V2), digests });
const tables = fc.array(fc.record({ s1: snapshot, s2: snapshot, s3: snapshot }), { minLength: 1, maxLength: 3 });
const query = fc.record({
  snapshot: fc.constantFrom("s1", "s2", "s3"),
  number: fc.nat(2),
  partial: fc.boolean(),
  failing: fc.constantFrom(undefined, undefined, 0, 2),
  table: fc.nat(2),
});

describe("promise 3: never a partial of another state or version", () => {
  /** As if each table were of a gateway of its own: what is kept may go from one to the other. */
  test.each([1_000_000, 20_000])(
    "tables, snapshots and versions at random, in a cache of %d bytes",
    async (cacheBytesMax) => {
      await fc.assert(
        fc.asyncProperty(tables, fc.array(query, { maxLength: 30 }), async (all, queries) => {
          const states = await Promise.all(all.map((snapshots, n) => stateOf({ snapshots }, BigInt(n))));
          const mesh = await start({ snapshots: all[0]!, limits: { cacheBytesMax } });
          const known = new Set<string>();
          for (const { snapshot, number, partial, failing, table } of queries) {
            const snapshots = all[table % all.length]!;
            mesh.state = states[table % all.length]!;
            mesh.respond = (one) => {
              if (one.call.shard === failing) one.fail(new Fault("shard-failed", "shard: broken", { shard: failing }));
              else one.answer(truth(mesh, one));
            };
            const { version, digests } = snapshots[snapshot];
            const quality = partial ? PARTIAL : ({ kind: "strict" } as const);
            const answer = mesh.ask({ snapshot, body: { number: String(number) }, quality });
            const end = await answer.catch((fault: Fault) => fault.id);
            const keys = digests.map((digest, shard) => `${shard} ${digest} ${version} ${number}`);
            if (typeof end === "string") expect(end).toBe("shard-failed");
            else {
              const missing = new Set(end.completeness.missing.flatMap(({ shards }) => shards.split(",").map(Number)));
              const right = digests.map((digest, shard) => rowsOf(shard, digest, version, BigInt(number)));
              const answered = right.filter((_, shard) => !missing.has(shard));
              expect(await mesh.rows(answer)).toBe(answered.reduce((sum, rows) => sum + rows, 0n));
              expect(end.completeness.complete).toBe(missing.size === 0);
            }
            await settled();
            for (const { call } of mesh.calls.splice(0)) {
              // With room for all, no shard is asked twice for what it has said.
              if (cacheBytesMax === 1_000_000) expect(known.has(keys[call.shard]!)).toBe(false);
              if (call.shard !== failing) known.add(keys[call.shard]!);
            }
            for (const counts of Object.values(mesh.gateway.shared.counts)) {
              expect(counts.bytes).toBeLessThanOrEqual(cacheBytesMax / 2);
            }
          }
        }),
        { numRuns: 40 },
      );
    },
  );
});
