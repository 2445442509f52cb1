import type { PartialFormat } from "../generated/skynetes/v1/shard_pb.ts";
import type { FragmentHead } from "./answer-frame-writer.ts";
import type { FragmentStatus, FragmentTiming } from "./fragment.ts";
import { CREDIT_BYTES, FRAGMENT_BYTES_MAX } from "./limits.ts";

/** Of a message, or of the partial of a unary method. */
interface Piece {
  readonly bytes: Uint8Array;
  /** A message ends with it. */
  readonly endsMessage: boolean;
}

export interface CallEnd {
  readonly status: FragmentStatus;
  /** A TopBounds. */
  readonly bounds?: Uint8Array | undefined;
  readonly timing?: FragmentTiming | undefined;
}

/** What a queued piece takes beside its bytes: empty messages are not free. */
const PIECE_BYTES = 64;

/** What one call has to send, in order, and how much of it it may. */
export class OutgoingCall {
  readonly id: number;
  /** In the writer's list of turns. */
  next: OutgoingCall | undefined;
  isListed = false;
  /** Bytes that it may still send in this turn; below zero after a fragment's head took more than was left. */
  deficit = 0;
  hasTurn = false;

  readonly #changed: (call: OutgoingCall, unsentBytes: number) => void;
  readonly #over: (call: OutgoingCall) => void;
  #pieces: Piece[] = [];
  /** Bytes of the first piece that are sent. */
  #from = 0;
  #credit = CREDIT_BYTES;
  #stamp: Buffer | undefined;
  #format: PartialFormat = 0;
  #partialBytes = 0;
  #end: CallEnd | undefined;
  #isOver = false;
  #unsent = 0;
  #wanted: { readonly bytes: number; readonly tell: () => void } | undefined;

  /**
   * `changed` is told when there may be something to send, and by how many bytes what is unsent has grown or shrunk;
   * `over` when the status is on its way.
   */
  constructor(
    id: number,
    changed: (call: OutgoingCall, unsentBytes: number) => void,
    over: (call: OutgoingCall) => void,
  ) {
    this.id = id;
    this.#changed = changed;
    this.#over = over;
  }

  /** Memory of what waits to be sent. */
  get unsentBytes(): number {
    return this.#unsent;
  }

  /** Nothing more is sent: the status has gone out, or nobody waits for it. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Something waits and may be sent. */
  get isReady(): boolean {
    if (this.#isOver) return false;
    const [piece] = this.#pieces;
    if (piece === undefined) return this.#end !== undefined;
    return this.#credit > 0 || piece.bytes.length === this.#from;
  }

  /** Goes out with the first fragment. */
  stamp(stamp: Buffer): void {
    this.#stamp = stamp;
  }

  /** Before the first data. */
  format(format: PartialFormat): void {
    this.#format = format;
  }

  /** Before the first data: how much there will be of a unary method's partial. */
  announce(bytes: number): void {
    // What is one fragment says itself how long it is.
    if (bytes > FRAGMENT_BYTES_MAX) this.#partialBytes = bytes;
  }

  /** `endsMessage`: a message of a streaming method ends with it. */
  data(bytes: Uint8Array, endsMessage: boolean): void {
    if (this.#isOver) return;
    // An empty partial is all in its status.
    if (bytes.length === 0 && !endsMessage) return;
    this.#pieces.push({ bytes, endsMessage });
    this.#grow(bytes.length + PIECE_BYTES);
  }

  end(end: CallEnd): void {
    if (this.#isOver || this.#end !== undefined) return;
    this.#end = end;
    this.#changed(this, 0);
  }

  /** Calls `tell` once, when less than `bytes` wait to be sent. */
  whenBelow(bytes: number, tell: () => void): void {
    this.#wanted = { bytes, tell };
    this.#tellRoom();
  }

  /** Forgets what is not sent; the end goes out all the same, without what it would have ended well. */
  fail(status: FragmentStatus, timing?: FragmentTiming): void {
    if (this.#isOver) return;
    this.#forget();
    this.#end = { status, timing };
    this.#changed(this, 0);
  }

  /** Nobody waits for it. */
  drop(): void {
    this.#isOver = true;
    this.#forget();
  }

  grant(bytes: number): void {
    this.#credit += bytes;
    if (this.isReady) this.#changed(this, 0);
  }

  /** Bytes of data that the next fragment may have, before the frame's room is looked at. */
  get sendable(): number {
    const [piece] = this.#pieces;
    return piece === undefined ? 0 : Math.min(piece.bytes.length - this.#from, this.#credit);
  }

  /** The head of a fragment with the next `bytes` of data. */
  headFor(bytes: number): FragmentHead {
    const [piece] = this.#pieces;
    const endsPiece = piece === undefined || this.#from + bytes === piece.bytes.length;
    const end = endsPiece && this.#pieces.length <= 1 ? this.#end : undefined;
    return {
      id: this.id,
      stamp: this.#stamp,
      format: this.#stamp === undefined ? 0 : this.#format,
      partialBytes: this.#partialBytes,
      messageEnd: piece?.endsMessage === true && endsPiece,
      status: end?.status,
      bounds: end?.bounds,
      timing: end?.timing,
    };
  }

  /** Where the data of the next fragment are. */
  get source(): { readonly bytes: Uint8Array; readonly from: number } {
    return { bytes: this.#pieces[0]?.bytes ?? NOTHING, from: this.#from };
  }

  /** The fragment with this head and so many bytes of data is in the frame. */
  sent(head: FragmentHead, bytes: number): void {
    this.#stamp = undefined;
    this.#partialBytes = 0;
    this.#credit -= bytes;
    this.#from += bytes;
    const [piece] = this.#pieces;
    if (piece !== undefined && this.#from === piece.bytes.length) {
      this.#pieces.shift();
      this.#from = 0;
      this.#grow(-piece.bytes.length - PIECE_BYTES);
    }
    if (head.status === undefined) return;
    this.#isOver = true;
    this.#over(this);
  }

  #forget(): void {
    this.#pieces = [];
    this.#partialBytes = 0;
    this.#from = 0;
    this.#grow(-this.#unsent);
  }

  #grow(bytes: number): void {
    this.#unsent += bytes;
    this.#changed(this, bytes);
    if (bytes < 0) this.#tellRoom();
  }

  #tellRoom(): void {
    if (this.#wanted === undefined || this.#unsent >= this.#wanted.bytes) return;
    const { tell } = this.#wanted;
    this.#wanted = undefined;
    tell();
  }
}

const NOTHING = new Uint8Array(0);
