import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { Client, type ClientDuplexStream, credentials, Metadata, type StatusObject } from "@grpc/grpc-js";
import {
  ConverseRequestSchema,
  type ConverseResponse,
  ConverseResponseSchema,
  type ShardFragment,
  type ShardStatusCode,
} from "../../src/wire/generated/skynetes/v1/shard_pb.ts";
import type { Stamp } from "../../src/wire/generated/skynetes/v1/stamp_pb.ts";

export type FrameInit = MessageInitShape<typeof ConverseRequestSchema>;

/** All that came for a call up to its status. */
export interface CallAnswer {
  readonly stamp: Stamp | undefined;
  readonly data: Buffer;
  readonly status: ShardStatusCode;
  readonly fragments: readonly ShardFragment[];
}

const asIs = (bytes: Buffer) => bytes;

/** One packed stream as any gateway might open it: nothing of the project's own codec, only the generated schemas. */
export class ConverseClient {
  readonly #client: Client;
  readonly #call: ClientDuplexStream<Buffer, Buffer>;
  readonly frames: ConverseResponse[] = [];
  readonly frameSizes: number[] = [];
  /** Ids of the calls whose status has come. */
  readonly #answered = new Set<number>();
  /** The status that the stream ended with. */
  readonly ended: Promise<StatusObject>;
  #status: StatusObject | undefined;
  #isHalfClosed = false;
  #waiting: { readonly look: () => boolean; readonly resolve: () => void; readonly reject: (e: Error) => void }[] = [];

  constructor(address: string, headers: Readonly<Record<string, string>>, beats = true) {
    this.#client = new Client(address, credentials.createInsecure());
    const metadata = new Metadata();
    for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
    this.#call = this.#client.makeBidiStreamRequest("/skynetes.v1.ShardService/Converse", asIs, asIs, metadata);
    this.#call.on("error", () => {});
    this.#call.on("data", (bytes: Buffer) => {
      this.frameSizes.push(bytes.length);
      const frame = fromBinary(ConverseResponseSchema, bytes);
      this.frames.push(frame);
      for (const { id, status } of frame.fragments) if (status !== undefined) this.#answered.add(Number(id));
      this.#look();
    });
    let sequence = 0n;
    const beat = setInterval(() => {
      if (beats) this.send({ heartbeat: { sequence: ++sequence } });
    }, 2_000);
    this.ended = new Promise((resolve) => {
      this.#call.on("status", (status) => {
        clearInterval(beat);
        this.#status = status;
        resolve(status);
        this.#look();
      });
    });
  }

  send(frame: FrameInit): void {
    this.sendBytes(toBinary(ConverseRequestSchema, create(ConverseRequestSchema, frame)));
  }

  sendBytes(frame: Uint8Array): void {
    if (!this.#isHalfClosed) this.#call.write(Buffer.from(frame));
  }

  /** Takes nothing off the wire until `resume`. */
  pause(): void {
    this.#call.pause();
  }

  resume(): void {
    this.#call.resume();
  }

  halfClose(): void {
    this.#isHalfClosed = true;
    this.#call.end();
  }

  /** Gives the stream up, as a gateway does that goes away. */
  cancel(): void {
    this.#call.cancel();
  }

  close(): void {
    this.#call.cancel();
    this.#client.close();
  }

  fragments(id: number): readonly ShardFragment[] {
    return this.frames.flatMap((frame) => frame.fragments.filter((fragment) => fragment.id === BigInt(id)));
  }

  received(id: number): number {
    return this.fragments(id).reduce((bytes, { data }) => bytes + data.length, 0);
  }

  async answer(id: number): Promise<CallAnswer> {
    await this.until(() => this.isAnswered(id), `call ${id} has a status`);
    const fragments = this.fragments(id);
    return {
      stamp: fragments[0]?.stamp,
      data: Buffer.concat(fragments.map(({ data }) => data)),
      status: fragments.at(-1)?.status as ShardStatusCode,
      fragments,
    };
  }

  isAnswered(id: number): boolean {
    return this.#answered.has(id);
  }

  /** Resolves when `isSo` after some frame; rejects when the stream ends before. */
  until(isSo: () => boolean, what: string): Promise<void> {
    if (isSo()) return Promise.resolve();
    return new Promise((resolve, reject) => {
      if (this.#status !== undefined) return reject(this.#gone(what));
      this.#waiting.push({ look: isSo, resolve, reject: () => reject(this.#gone(what)) });
    });
  }

  #gone(what: string): Error {
    return new Error(`the stream ended with ${this.#status?.code} ${this.#status?.details} before ${what}`);
  }

  #look(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const one of waiting) {
      if (one.look()) one.resolve();
      else if (this.#status !== undefined) one.reject(this.#gone(""));
      else this.#waiting.push(one);
    }
  }
}
