import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DescService } from "@bufbuild/protobuf";
import { serviceVersionName } from "../../src/mesh/service-version.ts";
import { systemClock, systemRandomness } from "../../src/process/clock.ts";
import type { ServiceDefinition } from "../../src/service/define-service.ts";
import { type RunningService, type ServeOptions, serveService } from "../../src/service/serve/serve-service.ts";
import { BindingService } from "../../src/wire/generated/skynetes/v1/binding_pb.ts";
import { type UnaryClient, unaryClient } from "../../src/wire/grpc-service.ts";
import { ShardCaller } from "./shard-caller.ts";
import type { FixtureShard } from "./shard-fixture.ts";

export const VERSION = serviceVersionName("delay-v1-00000001") as NonNullable<ReturnType<typeof serviceVersionName>>;

/** A service on a port of its own with a client for each of its faces. */
export interface Served {
  readonly service: RunningService;
  readonly binding: UnaryClient<typeof BindingService>;
  readonly caller: ShardCaller;
  bind(shard: FixtureShard): ReturnType<UnaryClient<typeof BindingService>["bind"]>;
  close(): Promise<void>;
}

export async function served<S extends DescService, State>(
  definition: ServiceDefinition<S, State>,
  options: Partial<ServeOptions> = {},
): Promise<Served> {
  const service = await serveService(definition, {
    version: VERSION,
    listen: { host: "127.0.0.1", port: 0 },
    memoryLimitBytes: 2 ** 30,
    clock: systemClock,
    randomness: systemRandomness,
    ...options,
  });
  const binding = unaryClient(BindingService, service.address);
  const caller = new ShardCaller(service.address);
  return {
    service,
    binding,
    caller,
    bind: (shard) => binding.bind(bindRequest(shard), { timeoutMs: 60_000 }),
    async close() {
      binding.close();
      caller.close();
      await service.close();
    },
  };
}

export function bindRequest({ mesh, shard, snapshot, directory, manifestSha256, stateDigest }: FixtureShard) {
  return { mesh, shard, snapshot, directory, manifestSha256, stateDigest };
}

export async function inTemporaryDirectory<T>(work: (directory: string) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), "skynetes-service-"));
  try {
    return await work(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
