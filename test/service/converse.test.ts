import { create, toBinary } from "@bufbuild/protobuf";
import { DelayService, SummarizeRequestSchema } from "../../examples/flights/generated/flights/v1/delay_pb.ts";
import { converseServiceAcceptance } from "../acceptance/converse-service.suite.ts";
import { inTemporaryDirectory, served, VERSION } from "./running.ts";
import { scripted, writeSmallShard } from "./small-flights.ts";

const PATH = `/${DelayService.typeName}`;

converseServiceAcceptance("the service kit", async () => {
  // Few and long, so that a flood of them costs little time.
  const days = Array.from({ length: 320 }, (_, i) => ({ day: `day ${i} `.repeat(600), flights: BigInt(i) }));
  const service = await served(scripted({ summarize: () => ({ flights: 42n }), dailyCounts: () => ({ days }) }), {
    node: "node-a",
  });
  await inTemporaryDirectory(async (directory) => service.bind(await writeSmallShard(directory)));
  const target = {
    shard: 0,
    snapshot: "s1",
    request: toBinary(SummarizeRequestSchema, create(SummarizeRequestSchema)),
  };
  return {
    address: service.service.address,
    version: VERSION,
    placement: "node-a",
    small: { ...target, method: `${PATH}/Summarize` },
    large: { ...target, method: `${PATH}/DailyCounts` },
    close: () => service.close(),
  };
});
