import { PartialFormat } from "./generated/skynetes/v1/shard_pb.ts";

/** How `x-skynetes-partial-format` spells a format; the response message itself is not spelled. */
const NAMES: readonly (readonly [name: string, format: PartialFormat])[] = [["columns", PartialFormat.COLUMNS]];

/** A name that is not known asks for nothing: the response message is always right. */
export function partialFormatOf(name: string | undefined): PartialFormat {
  return NAMES.find(([known]) => known === name)?.[1] ?? PartialFormat.UNSPECIFIED;
}

/** Undefined: no header is needed. */
export function partialFormatName(format: PartialFormat): string | undefined {
  return NAMES.find(([, known]) => known === format)?.[0];
}
