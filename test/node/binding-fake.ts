import { Server, ServerCredentials } from "@grpc/grpc-js";
import { onTestFinished } from "vitest";
import {
  BindingService,
  type BindRequest,
  type UnbindRequest,
} from "../../src/wire/generated/skynetes/v1/binding_pb.ts";
import { addUnaryService } from "../../src/wire/grpc-service.ts";

/** A service process that notes what it was asked to bind and claims to have done so. */
export async function bindingFake(digest?: string) {
  const binds: BindRequest[] = [];
  const unbinds: UnbindRequest[] = [];
  const server = new Server();
  addUnaryService(server, BindingService, {
    describe: () => ({}),
    listBindings: () => ({}),
    bind: (request) => {
      binds.push(request);
      const { shard, snapshot, stateDigest } = request;
      return { stamp: { shard, snapshot, stateDigest: digest ?? stateDigest, serviceVersion: "fake-v1-00000000" } };
    },
    unbind: (request) => {
      unbinds.push(request);
      return {};
    },
  });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  onTestFinished(() => server.forceShutdown());
  return { binds, unbinds, address: `127.0.0.1:${port}` };
}
