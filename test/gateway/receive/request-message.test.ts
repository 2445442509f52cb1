import { createRegistry, fromBinary, toBinary } from "@bufbuild/protobuf";
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
          expect(error).toMatchObject({ id: "malformed-request" });
        }
      }),
      { numRuns: 1_000 },
    );
  });
});
