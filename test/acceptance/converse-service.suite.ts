import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { Client, credentials, Metadata, status } from "@grpc/grpc-js";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type CallAnswer, ConverseClient } from "./converse-client.ts";

/** A call that the service answers well. */
export interface Question {
  /** `/package.Service/Method`, a unary one. */
  readonly method: string;
  readonly shard: number;
  readonly snapshot: string;
  readonly request: Uint8Array;
}

interface Call extends Question {
  readonly id: bigint;
  readonly remainingUs: bigint;
}

export interface ConverseServiceUnderTest {
  /** host:port. */
  readonly address: string;
  readonly version: string;
  readonly placement: string;
  /** Answered with some bytes, at most 16 KiB, always the same. */
  readonly small: Question;
  /** Answered with more than 1 MiB, always the same. */
  readonly large: Question;
  close(): Promise<void>;
}

const KIB = 1024;
const FRAME_BYTES_MAX = 64 * KIB;
const FRAGMENT_BYTES_MAX = 16 * KIB;
const CREDIT_BYTES = 256 * KIB;
const MINUTE_US = 60_000_000n;

/** What a service of any language keeps that says `DescribeResponse.converse`. Speaks to it over sockets only. */
export function converseServiceAcceptance(name: string, start: () => Promise<ConverseServiceUnderTest>): void {
  describe(`${name} keeps the contract of the packed stream`, () => {
    let under: ConverseServiceUnderTest;
    let opened: ConverseClient[] = [];
    // One process for all: what a hostile gateway has done to it, the next one must not notice.
    beforeAll(async () => {
      under = await start();
    });
    afterEach(() => {
      for (const stream of opened) stream.close();
      opened = [];
    });
    afterAll(() => under.close());

    const routeHeaders = () => ({ "x-skynetes-version": under.version, "x-skynetes-placement": under.placement });
    const open = (headers: Record<string, string> = routeHeaders()) => {
      const stream = new ConverseClient(under.address, headers);
      opened.push(stream);
      return stream;
    };
    const call = (id: number, question: Question, more: Partial<Call> = {}): Call => {
      return { id: BigInt(id), ...question, remainingUs: MINUTE_US, ...more };
    };
    const ask = (stream: ConverseClient, id: number, question: Question): Promise<CallAnswer> => {
      stream.send({ calls: [call(id, question)] });
      return stream.answer(id);
    };
    const credit = (id: number, bytes: number) => ({ credits: [{ id: BigInt(id), bytes }] });
    const expectUsable = async (stream: ConverseClient, id: number) => {
      expect((await ask(stream, id, under.small)).status).toMatchObject({ code: status.OK });
    };

    describe("opening", () => {
      it("says hello first and once, also to a gateway that sends calls without waiting for it", async () => {
        const stream = open();
        stream.send({ calls: [call(1, under.small)] });
        await stream.answer(1);
        await expectUsable(stream, 2);
        expect(stream.frames[0]?.hello).toBeDefined();
        expect(stream.frames.filter(({ hello }) => hello !== undefined)).toHaveLength(1);
        const { snapshot, shard } = under.small;
        expect(stream.frames[0]?.hello?.bound).toContainEqual(
          expect.objectContaining({ snapshot, shard, serviceVersion: under.version }),
        );
        expect(stream.frames[0]?.hello?.instance).not.toBe("");
      });

      it.each([
        ["another version", { "x-skynetes-version": "other-v1-00000000" }],
        ["another placement", { "x-skynetes-placement": "some-other-node" }],
      ])("refuses a stream for %s", async (_what, change) => {
        const stream = open({ ...routeHeaders(), ...change });
        expect(await stream.ended).toMatchObject({ code: status.FAILED_PRECONDITION });
        expect(stream.frames).toEqual([]);
      });

      it("refuses a stream without a version", async () => {
        expect(await open({ "x-skynetes-placement": under.placement }).ended).toMatchObject({
          code: status.FAILED_PRECONDITION,
        });
      });
    });

    describe("answers", () => {
      it("are those of unary gRPC, stamp first, status last", async () => {
        const stream = open();
        for (const [i, question] of [under.small, under.large].entries()) {
          stream.send({ calls: [call(i + 1, question)], ...credit(i + 1, 2 ** 30) });
          const answer = await stream.answer(i + 1);
          expect(answer.data.equals(await unary(under, question))).toBe(true);
          expect(answer.status).toMatchObject({ code: status.OK });
          expect(answer.stamp).toMatchObject({
            shard: question.shard,
            snapshot: question.snapshot,
            serviceVersion: under.version,
          });
          expect(answer.stamp?.stateDigest).not.toBe("");
          expect(answer.fragments.filter((fragment) => fragment.status !== undefined)).toHaveLength(1);
          expect(answer.fragments.at(-1)?.timing).toBeDefined();
        }
      });

      it("come in frames of at most 64 KiB and fragments of at most 16 KiB", async () => {
        const stream = open();
        stream.send({ calls: [1, 2, 3].map((id) => call(id, under.large)) });
        stream.send({ credits: [1, 2, 3].map((id) => ({ id: BigInt(id), bytes: 2 ** 30 })) });
        const answers = await Promise.all([1, 2, 3].map((id) => stream.answer(id)));
        expect(answers[0]?.data.length).toBeGreaterThan(1024 * KIB);
        expect(Math.max(...stream.frameSizes)).toBeLessThanOrEqual(FRAME_BYTES_MAX);
        const fragments = answers.flatMap((answer) => answer.fragments);
        expect(Math.max(...fragments.map(({ data }) => data.length))).toBeLessThanOrEqual(FRAGMENT_BYTES_MAX);
      });

      it("of a hundred calls in a frame come once each", async () => {
        const stream = open();
        const ids = Array.from({ length: 100 }, (_, i) => i + 1);
        stream.send({ calls: ids.map((id) => call(id, under.small)) });
        const answers = await Promise.all(ids.map((id) => stream.answer(id)));
        expect(new Set(answers.map(({ data }) => data.toString("hex"))).size).toBe(1);
        await expectUsable(stream, 101);
        const ends = stream.frames.flatMap(({ fragments }) => fragments.filter((fragment) => fragment.status));
        expect(ends).toHaveLength(101);
      });

      it("that are small come between the fragments of large ones that were asked for before", async () => {
        const stream = open();
        const large = [1, 2, 3, 4];
        const small = [5, 6, 7, 8];
        stream.send({
          calls: [...large.map((id) => call(id, under.large)), ...small.map((id) => call(id, under.small))],
        });
        stream.send({ credits: large.map((id) => ({ id: BigInt(id), bytes: 2 ** 30 })) });
        await Promise.all(large.map((id) => stream.answer(id)));
        const ended = stream.frames.flatMap(({ fragments }) =>
          fragments.filter((fragment) => fragment.status !== undefined).map(({ id }) => Number(id)),
        );
        expect(ended.slice(0, small.length).toSorted()).toEqual(small);
      });
    });

    describe("credit", () => {
      it("is never overdrawn, and a call that has none holds up no other", async () => {
        const stream = open();
        stream.send({ calls: [call(1, under.large)] });
        await stream.until(() => stream.received(1) >= CREDIT_BYTES, "the call has used its credit");
        for (let id = 2; id < 20; id++) await expectUsable(stream, id);
        expect(stream.received(1)).toBe(CREDIT_BYTES);
        stream.send(credit(1, 1000));
        await stream.until(() => stream.received(1) > CREDIT_BYTES, "the call has used what it was granted");
        await expectUsable(stream, 20);
        expect(stream.received(1)).toBe(CREDIT_BYTES + 1000);
        stream.send(credit(1, 2 ** 30));
        expect((await stream.answer(1)).data.equals(await unary(under, under.large))).toBe(true);
      });

      it("for calls that are not there is ignored", async () => {
        const stream = open();
        stream.send({ credits: [0n, 7n, 2n ** 64n - 1n].map((id) => ({ id, bytes: 2 ** 32 - 1 })) });
        await expectUsable(stream, 1);
      });
    });

    describe("cancelling", () => {
      it("ends a call without a word, and nothing else", async () => {
        const stream = open();
        stream.send({ calls: [call(1, under.large)] });
        await stream.until(() => stream.received(1) >= CREDIT_BYTES, "the call has used its credit");
        stream.send({ cancelled: [1n], ...credit(1, 2 ** 30) });
        await expectUsable(stream, 2);
        // Whatever was on its way came before what was asked later.
        expect(stream.received(1)).toBe(CREDIT_BYTES);
        expect(stream.isAnswered(1)).toBe(false);
      });

      it("in storms, of calls that have begun, have not, have ended, or never were, leaves the stream as it was", async () => {
        const stream = open();
        let id = 0;
        for (let round = 0; round < 10; round++) {
          const calls = Array.from({ length: 100 }, () => call(++id, round % 2 === 0 ? under.small : under.large));
          const cancelled = calls.map((one) => one.id);
          if (round % 3 === 0) stream.send({ calls, cancelled });
          else {
            stream.send({ calls });
            stream.send({ cancelled: [...cancelled, 10n ** 9n, ...cancelled] });
          }
        }
        for (let i = 0; i < 20; i++) await expectUsable(stream, ++id);
      });
    });

    describe("what is wrong with a call ends that call alone", () => {
      const wrong: readonly [string, () => Partial<Call>, number][] = [
        ["a method that is not served", () => ({ method: "/nowhere.v1.NoService/None" }), status.UNIMPLEMENTED],
        ["a method without a name", () => ({ method: "" }), status.UNIMPLEMENTED],
        ["a shard that is not bound", () => ({ shard: 4711 }), status.FAILED_PRECONDITION],
        ["a shard below zero", () => ({ shard: -1 }), status.INVALID_ARGUMENT],
        ["a snapshot that is not bound", () => ({ snapshot: "no-such-snapshot" }), status.FAILED_PRECONDITION],
        ["a snapshot that is a question", () => ({ snapshot: "latest" }), status.INVALID_ARGUMENT],
        ["a request that is not its message", () => ({ request: Buffer.from([0x0f, 0xff]) }), status.INVALID_ARGUMENT],
        ["no time left", () => ({ remainingUs: 0n }), status.DEADLINE_EXCEEDED],
      ];
      it.each(wrong)("%s", async (_what, change, code) => {
        const stream = open();
        stream.send({ calls: [call(1, under.small), call(2, under.small, change()), call(3, under.small)] });
        const [before, answer, after] = await Promise.all([stream.answer(1), stream.answer(2), stream.answer(3)]);
        expect(answer.status.code).toBe(code);
        expect(answer.status.message).not.toBe("");
        expect(answer.data).toHaveLength(0);
        expect([before.status.code, after.status.code]).toEqual([status.OK, status.OK]);
        await expectUsable(stream, 4);
      });

      it("a call that is refused for its route has no stamp", async () => {
        const stream = open();
        stream.send({ calls: [call(1, under.small, { snapshot: "no-such-snapshot" })] });
        const answer = await stream.answer(1);
        expect(answer.stamp).toBeUndefined();
        expect(answer.status.fault).toBe("snapshot-not-bound");
      });
    });

    describe("what breaks a rule of the stream ends it with INVALID_ARGUMENT", () => {
      const broken: readonly [string, (stream: ConverseClient) => void][] = [
        ["bytes that are not protobuf", (stream) => stream.sendBytes(Buffer.from([0xff, 0xff, 0xff]))],
        ["a frame that ends in the middle", (stream) => stream.sendBytes(Buffer.from([0x0a, 0x20, 0x08, 0x01]))],
        ["a frame of more than 64 KiB", (stream) => stream.sendBytes(withUnknown(FRAME_BYTES_MAX))],
        ["an id that comes twice", (stream) => stream.send({ calls: [call(5, under.small), call(5, under.small)] })],
        ["an id below the last", (stream) => stream.send({ calls: [call(5, under.small), call(4, under.small)] })],
        ["an id of an ended call", (stream) => void stream.send({ calls: [call(1, under.small)] })],
        ["id zero", (stream) => stream.send({ calls: [call(0, under.small)] })],
        ["an id beyond 2^53", (stream) => stream.send({ calls: [{ ...call(1, under.small), id: 2n ** 53n }] })],
      ];
      it.each(broken)("%s", async (_what, breakIt) => {
        const other = open();
        await expectUsable(other, 1);
        const stream = open();
        await expectUsable(stream, 1);
        breakIt(stream);
        expect(await stream.ended).toMatchObject({ code: status.INVALID_ARGUMENT });
        // The process goes on.
        await expectUsable(other, 2);
      });
    });

    it("skips fields that it does not know, in frames and in calls", async () => {
      const stream = open();
      const { method, snapshot, shard, request } = under.small;
      const unknown = withUnknown(100);
      const inner = new BinaryWriter()
        .raw(unknown)
        .tag(6, WireType.LengthDelimited)
        .bytes(request)
        .tag(4, WireType.LengthDelimited)
        .string(method)
        .tag(3, WireType.LengthDelimited)
        .string(snapshot)
        .tag(2, WireType.Varint)
        .int32(shard)
        .tag(5, WireType.Varint)
        .uint64(MINUTE_US)
        .raw(unknown)
        .tag(1, WireType.Varint)
        .uint64(1n)
        .finish();
      stream.sendBytes(
        Buffer.concat([unknown, new BinaryWriter().tag(1, WireType.LengthDelimited).bytes(inner).finish()]),
      );
      expect((await stream.answer(1)).status.code).toBe(status.OK);
    });

    it("takes a frame of exactly 64 KiB", async () => {
      const stream = open();
      stream.sendBytes(withUnknown(FRAME_BYTES_MAX - 5));
      await expectUsable(stream, 1);
    });

    describe("gateways that leave", () => {
      it("by closing their side get what is under way, and then a good end", async () => {
        const stream = open();
        stream.send({ calls: [call(1, under.large), call(2, under.small)], ...credit(1, 2 ** 30) });
        stream.halfClose();
        const [large, small] = await Promise.all([stream.answer(1), stream.answer(2)]);
        expect([large.status.code, small.status.code]).toEqual([status.OK, status.OK]);
        expect(await stream.ended).toMatchObject({ code: status.OK });
      });

      it("by closing their side when all was refused get the refusals, and then a good end", async () => {
        const stream = open();
        stream.send({ calls: [call(1, under.small, { method: "/nowhere.v1.NoService/None" })] });
        stream.halfClose();
        expect((await stream.answer(1)).status.code).toBe(status.UNIMPLEMENTED);
        expect(await stream.ended).toMatchObject({ code: status.OK });
      });

      it("by closing their side before they asked anything get a good end", async () => {
        const stream = open();
        stream.halfClose();
        expect(await stream.ended).toMatchObject({ code: status.OK });
        expect(stream.frames[0]?.hello).toBeDefined();
      });

      it("in the middle take nothing with them", async () => {
        const other = open();
        for (let round = 1; round <= 10; round++) {
          const stream = open();
          stream.send({ calls: [call(1, under.large), call(2, under.large)] });
          await stream.until(() => stream.received(1) > 0, "an answer has begun");
          stream.close();
          await expectUsable(other, round);
        }
      });

      it("that never read do not hold up others", async () => {
        const deaf = open();
        await expectUsable(deaf, 1);
        deaf.pause();
        for (let id = 2; id < 400; id++) deaf.send({ calls: [call(id, under.large)] });
        const other = open();
        for (let id = 1; id < 20; id++) await expectUsable(other, id);
      });
    });

    it("refuses a flood early and goes on answering others", async () => {
      const flood = open();
      const other = open();
      await expectUsable(other, 1);
      const ids = Array.from({ length: 10_000 }, (_, i) => i + 1);
      for (let from = 0; from < ids.length; from += 200) {
        flood.send({ calls: ids.slice(from, from + 200).map((id) => call(id, under.large)) });
      }
      await expectUsable(other, 2);
      const statuses = new Map<bigint, { code: number; retryAfterMs: number }>();
      const ended = () => {
        for (const frame of flood.frames.splice(0)) {
          for (const { id, status: end } of frame.fragments) if (end !== undefined) statuses.set(id, end);
        }
        return statuses.size;
      };
      // Those that were taken wait for credit; all others are told at once, with advice when to try again.
      await flood.until(() => ended() >= 9_000, "the refused calls have their status");
      await expectUsable(other, 3);
      for (const end of statuses.values()) expect(end).toMatchObject({ code: status.UNAVAILABLE });
      expect([...statuses.values()].every(({ retryAfterMs }) => retryAfterMs > 0)).toBe(true);
    });

    it("sends heartbeats while it says nothing else, and closes a stream that is silent for six seconds", async () => {
      const stream = new ConverseClient(under.address, routeHeaders(), false);
      opened.push(stream);
      const startedAt = Date.now();
      const { code } = await stream.ended;
      expect(Date.now() - startedAt).toBeGreaterThan(5_000);
      expect(code).not.toBe(status.OK);
      const beats = stream.frames.flatMap(({ heartbeat }) => (heartbeat === undefined ? [] : [heartbeat.sequence]));
      expect(beats.slice(0, 2)).toEqual([1n, 2n]);
    });
  });
}

/** A frame or message of nothing but an unknown field of so many bytes. */
function withUnknown(bytes: number): Uint8Array {
  return new BinaryWriter().tag(1000, WireType.LengthDelimited).bytes(new Uint8Array(bytes)).finish();
}

function unary(under: ConverseServiceUnderTest, { method, shard, snapshot, request }: Question): Promise<Buffer> {
  const client = new Client(under.address, credentials.createInsecure());
  const metadata = new Metadata();
  metadata.set("x-skynetes-version", under.version);
  metadata.set("x-skynetes-placement", under.placement);
  metadata.set("x-skynetes-shard", String(shard));
  metadata.set("x-skynetes-snapshot", snapshot);
  const asIs = (bytes: Buffer) => bytes;
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(method, asIs, asIs, Buffer.from(request), metadata, (error, reply?: Buffer) => {
      client.close();
      if (error !== null || reply === undefined) reject(error);
      else resolve(reply);
    });
  });
}
