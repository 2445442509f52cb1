import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Client, credentials, type Metadata } from "@grpc/grpc-js";
import { expect, test } from "vitest";
import {
  DelayService,
  TopDestinationsRequestSchema,
  TopDestinationsResponseSchema,
} from "../../examples/flights/generated/flights/v1/delay_pb.ts";
import { startMerge } from "../../src/gateway/merge/start-merge.ts";
import { compileMethod } from "../../src/merge-plan/compile-method.ts";
import { PARTIAL_FORMAT_HEADER } from "../../src/mesh/route-headers.ts";
import { inTemporaryDirectory, served, VERSION } from "./running.ts";
import { headersFor } from "./shard-caller.ts";
import { scripted, writeSmallShard } from "./small-flights.ts";

const { topDestinations } = DelayService.method;
const GROUPS = 400;

/** A unary call of a shard with all its groups, as bytes; `accept` is the caller's wish. */
async function partialOf(address: string, accept?: string): Promise<{ bytes: Uint8Array; format: string | undefined }> {
  const client = new Client(address, credentials.createInsecure());
  try {
    return await new Promise((resolve, reject) => {
      const headers = headersFor({ version: VERSION, shard: 0, snapshot: "s1" }, (metadata: Metadata) => {
        if (accept !== undefined) metadata.set(PARTIAL_FORMAT_HEADER, accept);
      });
      const request = toBinary(TopDestinationsRequestSchema, create(TopDestinationsRequestSchema));
      let bytes: Uint8Array | undefined;
      const call = client.makeUnaryRequest(
        `/${DelayService.typeName}/${topDestinations.name}`,
        (message: Uint8Array) => Buffer.from(message),
        (message: Buffer) => message,
        request,
        headers,
        (error, message) => {
          if (error !== null) reject(error);
          bytes = message;
        },
      );
      call.on("status", (status) => {
        if (status.code !== 0) return;
        resolve({ bytes: bytes!, format: status.metadata.get(PARTIAL_FORMAT_HEADER)[0]?.toString() });
      });
    });
  } finally {
    client.close();
  }
}

test("many groups come as columns where the caller takes them, and say the same", async () => {
  const destinations = Array.from({ length: GROUPS }, (_, n) => ({
    destination: `D${n}`,
    name: n % 2 === 0 ? `Airport ${n}` : "",
    flights: BigInt(n % 7),
    totalDelayMinutes: BigInt(-n),
  }));
  const service = await served(scripted({ topDestinations: () => ({ destinations }) }));
  try {
    await inTemporaryDirectory(async (directory) => service.bind(await writeSmallShard(directory)));
    const rows = await partialOf(service.service.address);
    const columns = await partialOf(service.service.address, "columns");
    expect([rows.format, columns.format]).toEqual([undefined, "columns"]);
    expect(fromBinary(TopDestinationsResponseSchema, rows.bytes).destinations).toHaveLength(GROUPS);
    const merged = [rows.bytes, columns.bytes].map((message, index) => {
      const request = create(TopDestinationsRequestSchema, {});
      const merge = startMerge(compileMethod(topDestinations), request, [0], { groupBytesMax: 2 ** 24 });
      const [asked] = merge.begin();
      merge.accept({
        shard: 0,
        request: asked!,
        message,
        format: index === 0 ? "message" : "columns",
        bounds: undefined,
      });
      return Buffer.concat(merge.finish());
    });
    expect(merged[1]).toEqual(merged[0]);
    expect(merged[0]!.length).toBeGreaterThan(GROUPS);
  } finally {
    await service.close();
  }
});
