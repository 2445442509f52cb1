import { describe, expect, test } from "vitest";
import { WireCursor } from "../../src/wire/wire-cursor.ts";

const reads = {
  varint32: (bytes: number[]) => new WireCursor(Uint8Array.from(bytes)).varint32(),
  varint64: (bytes: number[]) => new WireCursor(Uint8Array.from(bytes)).varint64(),
};

describe.each(Object.entries(reads))("%s", (_name, read) => {
  test("a number of ten bytes is the longest", () => {
    const nine = Array.from({ length: 9 }, () => 0xff);
    expect(() => read([...nine, 0x01])).not.toThrow();
    expect(() => read([...nine, 0x81, 0x01])).toThrow("more than ten bytes");
  });

  test("bytes that end within a number are none", () => {
    for (const bytes of [[], [0x80], [0xff, 0xff]]) expect(() => read(bytes)).toThrow("it ends within a number");
  });
});
