import { create, createRegistry, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readJson } from "../../../src/gateway/receive/read-json.ts";
import { decodeRequest } from "../../../src/gateway/receive/request-message.ts";
import { probeService } from "../probe-service.ts";

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
