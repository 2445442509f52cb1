import { create, createRegistry, fromBinary, fromJson, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import type { Fault } from "../../../src/fault/fault.ts";
import { readJson } from "../../../src/gateway/receive/read-json.ts";
import { decodeRequest } from "../../../src/gateway/receive/request-message.ts";
import { probeService } from "../probe-service.ts";

vi.mock(import("@bufbuild/protobuf"), async (original) => {
  const real = await original();
  return { ...real, fromJson: vi.fn(real.fromJson) as typeof real.fromJson };
});

const { desc } = probeService();
const input = desc.method.echo!.input;
const registry = createRegistry(desc);
const decode = (text: string) =>
  decodeRequest(input, { kind: "json", value: readJson(text, 32), pointer: "" }, registry) as unknown as Record<
    string,
    unknown
  >;

describe("numbers of requests", () => {
  test("every 64-bit integer is read exactly, as a number and as a string", () => {
    const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
    const uint64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
    fc.assert(
      fc.property(int64, uint64, (number, big) => {
        expect(decode(`{"number": ${number}, "big": "${big}"}`)).toMatchObject({ number, big });
        expect(decode(`{"number": "${number}", "big": ${big}, "many": [${number}]}`)).toMatchObject({
          number,
          big,
          many: [number],
        });
      }),
    );
  });

  test("an integer that does not fit is refused, never wrapped or rounded", () => {
    const beyond = fc.oneof(
      fc.bigInt({ min: 2n ** 63n, max: 10n ** 40n }),
      fc.bigInt({ min: -(10n ** 40n), max: -(2n ** 63n) - 1n }),
    );
    fc.assert(
      fc.property(beyond, (number) => {
        expect(() => decode(`{"number": ${number}}`)).toThrow(/\/number/);
        expect(() => decode(`{"number": "${number}"}`)).toThrow(/\/number/);
      }),
    );
  });

  test("doubles are the nearest to what was written", () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (real) => {
        expect(decode(`{"real": ${real}}`).real).toBe(Number(String(real)));
      }),
    );
    expect(decode('{"real": 9007199254740993}').real).toBe(9007199254740992);
    expect(decode('{"real": "NaN"}').real).toBeNaN();
  });

  test("a long list is read at once, not with a message for each item", () => {
    vi.mocked(fromJson).mockClear();
    const many = Array.from({ length: 50_000 }, (_, i) => i);
    decodeRequest(input, { kind: "json", value: { many }, pointer: "" }, registry);
    expect(fromJson).toHaveBeenCalledTimes(1);
    const wrong = [...many, "x"];
    expect(() => decodeRequest(input, { kind: "json", value: { many: wrong }, pointer: "" }, registry)).toThrow();
    expect(vi.mocked(fromJson).mock.calls.length).toBeLessThan(600);
  });

  test("every wrong item of a long list is found by its place, up to the number that is listed", () => {
    const items = Array.from({ length: 2_000 }, (_, i): number | string => i);
    for (const place of [0, 255, 256, 1_999]) items[place] = "x";
    const pointers = (value: unknown) => {
      try {
        decodeRequest(input, { kind: "json", value, pointer: "" }, registry);
        return [];
      } catch (error) {
        return (error as Fault).detail.errors?.map(({ pointer }) => pointer);
      }
    };
    expect(pointers({ many: items })).toEqual(["/many/0", "/many/255", "/many/256", "/many/1999"]);
    expect(pointers({ many: items.map(() => "x") })?.length).toBe(20);
    expect(pointers({ many: [1, { a: 1 }], number: "x", nothing: 1 })).toEqual(["/many/1", "/number", "/nothing"]);
  });

  test("bytes that are no message are a fault, whatever they are", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        try {
          const message = decodeRequest(input, { kind: "binary", bytes }, registry);
          expect(fromBinary(input, toBinary(input, message))).toEqual(message);
        } catch (error) {
          expect(["malformed-request", "invalid-request"]).toContain((error as { id: string }).id);
        }
      }),
      { numRuns: 1_000 },
    );
  });
});

describe("fields in wire format that the answering version does not know", () => {
  const newer = probeService((messages) => {
    const more = { ...messages[0]!.field[0]!, name: "more", jsonName: "more", number: 20 };
    messages[0]!.field.push(more as never);
    messages[1]!.field.push({ ...more, name: "filter", jsonName: "filter", number: 21 } as never);
  }).desc.method.echo!.input;
  const send = (fields: Record<string, unknown>) => {
    const bytes = toBinary(newer, create(newer, fields as never));
    return decodeRequest(input, { kind: "binary", bytes }, registry);
  };

  test.each<[string, Record<string, unknown>, string]>([
    ["of the request itself", { more: 1n }, "field 20 (probe.v1.EchoRequest)"],
    ["of a nested message", { inner: { filter: 1n } }, "field inner.21 (probe.v1.Inner)"],
    [
      "in a list of nested messages",
      { inner: { inners: [{}, { filter: 1n }] } },
      "field inner.inners.21 (probe.v1.Inner)",
    ],
  ])("one %s is refused, as in JSON, and not left out of the question", (_name, fields, names) => {
    const refused = () => send(fields);
    expect(refused).toThrow(expect.objectContaining({ id: "invalid-request" }));
    expect(refused).toThrow(names);
  });

  test("a newer stub that does not use them is answered", () => {
    expect(send({ number: 5n, inner: { inners: [{ depth: 2 }] } })).toMatchObject({ number: 5n });
  });
});
