import { create, type DescField, type DescMessage, type Message, toBinary } from "@bufbuild/protobuf";
import { SLICE, type Slices } from "../../accumulator/sliced-sort.ts";
import type { AnswerPieces } from "./merge-execution.ts";

type Properties = Record<string, unknown>;

/**
 * A merged message as bytes, long lists some elements at a time: the same bytes as of the whole. Members of a oneof
 * cannot be merged, so there are none.
 */
export function* answerPieces(desc: DescMessage, message: Message): Slices<AnswerPieces> {
  const pieces: Uint8Array[] = [];
  const given = message as unknown as Properties;
  let rest: Properties = {};
  const writeRest = () => {
    const bytes = toBinary(desc, create(desc, rest as never));
    if (bytes.length > 0) pieces.push(bytes);
    rest = {};
  };
  for (const field of [...desc.fields].sort((a, b) => a.number - b.number)) {
    const name = field.localName;
    if (!Object.hasOwn(given, name)) continue;
    const value = given[name];
    if (!isCut(field, value)) {
      rest[name] = value;
      continue;
    }
    writeRest();
    for (let start = 0; start < value.length; start += SLICE) {
      yield;
      rest[name] = value.slice(start, start + SLICE);
      writeRest();
    }
  }
  writeRest();
  return pieces;
}

/** A list written packed is one record, which cannot be cut. */
function isCut(field: DescField, value: unknown): value is readonly unknown[] {
  return field.fieldKind === "list" && !field.packed && Array.isArray(value) && value.length > SLICE;
}
