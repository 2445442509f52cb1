import type { DescMessage } from "@bufbuild/protobuf";
import { BinaryReader } from "@bufbuild/protobuf/wire";

/**
 * Groups in a partial: how many messages its repeated fields have, counted without decoding them. Undefined: the bytes
 * are no message; the merge will say so.
 */
export function countGroups(desc: DescMessage, bytes: Uint8Array): number | undefined {
  const repeated = new Set(
    desc.fields
      .filter((field) => field.fieldKind === "list" && field.listKind === "message")
      .map(({ number }) => number),
  );
  const reader = new BinaryReader(bytes);
  let groups = 0;
  try {
    while (reader.pos < reader.len) {
      const [number, wireType] = reader.tag();
      if (repeated.has(number)) groups++;
      reader.skip(wireType, number);
    }
  } catch {
    return undefined;
  }
  return groups;
}
