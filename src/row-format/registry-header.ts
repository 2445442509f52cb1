import type { RecordSchema } from "../mesh/table-spec.ts";
import { RowReject } from "./row-reject.ts";

/** What clients of a schema registry write before a value: a zero, the schema's id, for Protobuf which message it is. */
export interface RegistryHeader {
  /** The value behind the header. Throws `RowReject` when it is missing or of another schema. */
  strip(value: Uint8Array): Uint8Array;
  /** What stands before a value. */
  readonly bytes: Uint8Array;
}

const NONE: RegistryHeader = { strip: (value) => value, bytes: new Uint8Array() };

/** `kinds`: what may come behind the id, any of them; the first is written. */
export function registryHeader({ registryId }: RecordSchema, kinds: readonly Uint8Array[]): RegistryHeader {
  if (registryId === undefined) return NONE;
  const id = Buffer.alloc(5);
  id.writeUInt32BE(registryId, 1);
  const headers = kinds.map((kind) => Buffer.concat([id, kind]));
  return {
    strip(value) {
      for (const header of headers) {
        if (header.equals(value.subarray(0, header.length))) return value.subarray(header.length);
      }
      throw new RowReject(`the value does not begin with the registry's header of schema ${registryId}`);
    },
    bytes: headers[0]!,
  };
}
