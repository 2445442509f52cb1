/** What a gateway and its merge threads tell each other, in order. Bytes are handed over, not copied, where they can be. */
import type { FaultDetail } from "../../fault/fault.ts";
import type { FaultId } from "../../fault/fault-catalog.ts";
import type { Partial } from "../merge/merge-execution.ts";

/** How a method's partials merge: told once, before the first merge of it. */
export interface PlanWords {
  readonly kind: "plan";
  readonly plan: number;
  /** A protobuf FileDescriptorSet. */
  readonly descriptors: Uint8Array;
  readonly service: string;
  readonly method: string;
  /** Those told before are not needed any more. */
  readonly forgetsOthers: boolean;
}

export interface BeginWords {
  readonly kind: "begin";
  readonly plan: number;
  /** The client's own. */
  readonly request: Uint8Array;
  readonly shards: readonly number[];
  readonly groupBytesMax: number;
  readonly keysPerRequestMax: number | undefined;
}

export interface AcceptWords {
  readonly kind: "accept";
  readonly shard: number;
  /** Which of the round's requests it answers. */
  readonly place: number;
  readonly message: Uint8Array;
  readonly format: Partial["format"];
  /** A protobuf TopBounds. */
  readonly bounds: Uint8Array | undefined;
}

/** Each is answered, in turn, with `done` or `failed`. */
export type OrderWords =
  | BeginWords
  | AcceptWords
  | { readonly kind: "exclude"; readonly shard: number }
  | { readonly kind: "next" }
  | { readonly kind: "finish" };

export type ToThread =
  | PlanWords
  | OrderWords
  /** So many bytes more may be held. */
  | { readonly kind: "grant"; readonly bytes: number }
  /** Nobody wants the merge any more: what is under way stops, and is not answered; `ended` is. */
  | { readonly kind: "end" };

export type FromThread =
  | { readonly kind: "done"; readonly value: unknown }
  | { readonly kind: "failed"; readonly fault: FaultWords }
  /** Goes on once they are granted. */
  | { readonly kind: "need"; readonly bytes: number }
  | { readonly kind: "ended" };

/** Answer to `next`. */
export interface RoundWords {
  /** Each encoded once. */
  readonly requests: readonly Uint8Array[];
  /** Shards asked, each with the place of its request in `requests`. */
  readonly asked: readonly { readonly shard: number; readonly request: number }[];
}

export interface FaultWords {
  readonly id: FaultId;
  readonly message: string;
  readonly detail: FaultDetail;
}
