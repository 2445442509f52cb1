import {
  create,
  type DescMethod,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { ROUTE_HEADERS } from "../../src/mesh/route-headers.ts";
import { ConverseClient } from "../acceptance/converse-client.ts";
import { type Served, VERSION } from "./running.ts";

export function openStream(service: Served, headers: Readonly<Record<string, string>> = {}): ConverseClient {
  return new ConverseClient(service.service.address, { [ROUTE_HEADERS.version]: VERSION, ...headers }, false);
}

export interface PackedOptions {
  readonly shard?: number;
  readonly snapshot?: string;
  readonly remainingMs?: number;
  readonly traceparent?: string;
}

/** A call of shard 0 of snapshot s1 with a minute left. */
export function packed<M extends DescMethod>(
  id: number,
  method: M,
  request: MessageInitShape<M["input"]>,
  options: PackedOptions = {},
) {
  return {
    id: BigInt(id),
    shard: options.shard ?? 0,
    snapshot: options.snapshot ?? "s1",
    method: `/${method.parent.typeName}/${method.name}`,
    remainingUs: BigInt((options.remainingMs ?? 60_000) * 1000),
    request: toBinary(method.input, create(method.input, request as never)),
    traceparent: options.traceparent ?? "",
  };
}

/** Messages of a streaming method that have come whole. */
export function messagesOf<M extends DescMethod>(
  stream: ConverseClient,
  id: number,
  { output }: M,
): MessageShape<M["output"]>[] {
  const messages: MessageShape<M["output"]>[] = [];
  let pieces: Uint8Array[] = [];
  for (const { data, messageEnd } of stream.fragments(id)) {
    pieces.push(data);
    if (!messageEnd) continue;
    messages.push(fromBinary(output, Buffer.concat(pieces)) as MessageShape<M["output"]>);
    pieces = [];
  }
  return messages;
}
