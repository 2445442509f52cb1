import { ConverseTransport } from "../../../src/gateway/scatter/converse/converse-transport.ts";
import { GrpcShardTransport } from "../../../src/gateway/scatter/grpc-shard-transport.ts";
import { systemClock as clock, systemRandomness as randomness } from "../../../src/process/clock.ts";
import { shardTransportAcceptance } from "../../acceptance/shard-transport.suite.ts";

shardTransportAcceptance("unary gRPC", (partialBytesMax) => ({
  transport: new GrpcShardTransport(clock, partialBytesMax),
  packs: false,
}));

shardTransportAcceptance("the packed stream", (partialBytesMax) => {
  const unary = new GrpcShardTransport(clock, partialBytesMax);
  return { transport: new ConverseTransport({ clock, randomness, unary, partialBytesMax }), packs: true };
});
