import { type Client, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { ROUTE_HEADERS, STREAM_HEADER } from "../../../mesh/route-headers.ts";
import { CONVERSE_PATH } from "../../../wire/converse/limits.ts";
import type { ShardWay } from "../shard-transport.ts";

/** What carries the frames of one stream. */
export interface FramePipe {
  /** False: it is full; the listener hears when there is room again. */
  write(frame: Buffer): boolean;
  /** Closes the sending side. */
  end(): void;
  /** Both sides at once. */
  cancel(): void;
}

export interface PipeListener {
  frame(bytes: Buffer): void;
  room(): void;
  /** Once, as the last. Undefined: the peer ended it well. */
  gone(error: ServiceError | undefined): void;
}

export type OpenPipe = (listener: PipeListener) => FramePipe;

const asIs = (bytes: Buffer) => bytes;

/** A stream of ShardService/Converse, with the route headers and no deadline: a mesh routes it once. */
export function openGrpcPipe(client: Client, way: ShardWay, isBulk: boolean, listener: PipeListener): FramePipe {
  const headers = new Metadata();
  headers.set(ROUTE_HEADERS.version, way.version);
  headers.set(ROUTE_HEADERS.placement, way.node);
  if (isBulk) headers.set(STREAM_HEADER, "bulk");
  const under = client.makeBidiStreamRequest<Buffer, Buffer>(CONVERSE_PATH, asIs, asIs, headers, {});
  let failure: ServiceError | undefined;
  under.on("data", (frame: Buffer) => listener.frame(frame));
  under.on("drain", () => listener.room());
  under.on("error", (error: ServiceError) => {
    failure = error;
  });
  under.on("status", ({ code }) => {
    const tell = () => listener.gone(code === status.OK ? undefined : failure);
    // What came before the end is read before the end.
    if (under.readableLength === 0) tell();
    else under.once("end", tell);
  });
  return {
    write: (frame) => under.write(frame),
    end: () => void under.end(),
    cancel: () => under.cancel(),
  };
}
