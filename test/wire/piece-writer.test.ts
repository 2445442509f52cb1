import { BinaryWriter } from "@bufbuild/protobuf/wire";
import fc from "fast-check";
import { expect, test } from "vitest";
import { PieceWriter } from "../../src/wire/piece-writer.ts";

const lengths = fc.oneof(fc.nat(100), fc.nat(200_000), fc.constantFrom(0, 65_535, 65_536));
const steps = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constant("bytes" as const), length: lengths }),
    fc.record({ kind: fc.constant("number" as const), value: fc.nat({ max: 2 ** 31 - 1 }) }),
    fc.record({ kind: fc.constant("text" as const), text: fc.string({ unit: "binary" }), times: fc.nat(4000) }),
  ),
  { maxLength: 30 },
);

test("pieces are what the library writes, one after the other, and values of 64 KiB are not copied", () => {
  fc.assert(
    fc.property(steps, fc.nat(100_000), (script, expectedBytes) => {
      const out = new PieceWriter(expectedBytes);
      const library = new BinaryWriter();
      const large: Uint8Array[] = [];
      for (const step of script) {
        if (step.kind === "number") {
          out.number(0x08, step.value);
          library.uint32(0x08).uint32(step.value);
        } else if (step.kind === "text") {
          out.text(step.text.repeat(step.times));
          library.raw(Buffer.from(step.text.repeat(step.times)));
        } else {
          const bytes = Buffer.alloc(step.length, step.length);
          if (step.length >= 65_536) large.push(bytes);
          out.add(bytes);
          library.raw(bytes);
        }
      }
      const expected = library.finish();
      const pieces = out.end();
      expect(Buffer.concat(pieces).equals(expected)).toBe(true);
      expect(out.size).toBe(expected.length);
      for (const bytes of large) expect(pieces).toContain(bytes);
      expect(out.copied).toBeLessThanOrEqual(out.size - large.reduce((sum, { length }) => sum + length, 0));
    }),
    { numRuns: 200 },
  );
});

test("what is as long as was expected is one piece", () => {
  const out = new PieceWriter(50_000);
  for (let i = 0; i < 50; i++) out.add(Buffer.alloc(1000, i));
  expect(out.end().map(({ length }) => length)).toEqual([50_000]);
});
