import { Fault } from "../../fault/fault.ts";
import type { MergeLimits } from "./merge-execution.ts";

/** Counts what a merge holds against its ceiling. */
export interface MemoryBudget {
  /** Faults: `answer-too-large`. */
  hold(value: unknown): void;
  /** The same for bytes that are known. */
  holdBytes(bytes: number): void;
}

export function memoryBudget({ groupBytesMax: bytesMax, hold }: MergeLimits): MemoryBudget {
  let held = 0;
  const holdBytes = (bytes: number) => {
    held += bytes;
    if (held <= bytesMax) return hold?.(bytes);
    throw new Fault("answer-too-large", `merge the partials: more than ${bytesMax} bytes of groups and lists to hold`);
  };
  return { hold: (value) => holdBytes(heldBytes(value)), holdBytes };
}

/** Rough bytes of a value in memory: right within a factor of two, which is enough for a ceiling. */
export function heldBytes(value: unknown): number {
  switch (typeof value) {
    case "string":
      return 16 + 2 * value.length;
    case "bigint":
      return 24;
    case "object":
      return value === null ? 0 : heldByObject(value);
    default:
      return 8;
  }
}

function heldByObject(value: object): number {
  if (value instanceof Uint8Array) return 96 + value.byteLength;
  let bytes = 64;
  for (const inner of Object.values(value)) bytes += 8 + heldBytes(inner);
  return bytes;
}
