import type { FaultId } from "../fault/fault-catalog.ts";
import type { ArchiveOperation } from "./archive-files.ts";

/** What is said between a process and its archive process. */
export interface FileQuestion {
  readonly id: number;
  readonly operation: ArchiveOperation;
  readonly args: readonly unknown[];
}

export type FileAnswer =
  /** The operation is under way, and has done something since the last sign. */
  | { readonly kind: "progress"; readonly id: number }
  | { readonly kind: "value"; readonly id: number; readonly value: unknown }
  | { readonly kind: "fault"; readonly id: number; readonly fault: FaultId; readonly message: string };
