/**
 * Several pods in one process, each with a port, a shard and a placement of its own: to a gateway they are as many pods.
 * They share an event loop, which makes the services' side a little cheaper than it would be, for every peer alike.
 */
import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { create, toJsonString } from "@bufbuild/protobuf";
import { systemClock, systemRandomness } from "../../../src/process/clock.ts";
import { type RunningService, serveService } from "../../../src/service/serve/serve-service.ts";
import { BindingService } from "../../../src/wire/generated/skynetes/v1/binding_pb.ts";
import { ShardManifestSchema } from "../../../src/wire/generated/skynetes/v1/seal_pb.ts";
import { unaryClient } from "../../../src/wire/grpc-service.ts";
import { MESH, nodeOf, SNAPSHOT, stateDigestOf, VERSION } from "../mesh/bench-names.ts";
import { answerQuestions } from "../process/answer-questions.ts";
import { benchService, ORDINARY, type PodBehaviour, type PodState } from "./bench-service.ts";

export interface PodPlace {
  readonly shard: number;
  readonly placement: number;
}

export interface ServedPod extends PodPlace {
  readonly address: string;
  readonly descriptors: Uint8Array;
  readonly converse: boolean;
}

const BIND_MS = 30_000;
/** host:port is the machine's choice. */
const HOST = process.argv[2] ?? "127.0.0.1";

const state: PodState = { calls: 0, behaviour: ORDINARY };
const running: RunningService[] = [];

answerQuestions(
  {
    async serve(directory: string, places: readonly PodPlace[]): Promise<ServedPod[]> {
      const served: ServedPod[] = [];
      for (const place of places) served.push(await servePod(directory, place));
      return served;
    },
    /** Calls that handlers got since the start. */
    calls: () => state.calls,
    behave: (behaviour: Partial<PodBehaviour>) => {
      state.behaviour = { ...ORDINARY, ...behaviour };
    },
    close: () => Promise.all(running.map((service) => service.close())),
  },
  { ending: true },
);

async function servePod(directory: string, place: PodPlace): Promise<ServedPod> {
  const { shard, placement } = place;
  const service = await serveService(benchService(state, shard * 8 + placement), {
    version: VERSION,
    node: nodeOf(shard, placement),
    listen: { host: HOST, port: 0 },
    memoryLimitBytes: 2 ** 30,
    clock: systemClock,
    randomness: systemRandomness,
  });
  running.push(service);
  const binding = unaryClient(BindingService, service.address);
  try {
    const files = writeShardFiles(join(directory, nodeOf(shard, placement)), shard);
    await binding.bind(files, { timeoutMs: BIND_MS });
    const { descriptors, converse } = await binding.describe({}, { timeoutMs: BIND_MS });
    return { shard, placement, address: service.address, descriptors, converse };
  } finally {
    binding.close();
  }
}

/** A shard of no tables: the service makes up what it answers, but binds like any other. */
function writeShardFiles(directory: string, shard: number) {
  const stateDigest = stateDigestOf(shard);
  const id = { mesh: MESH, shard, snapshot: SNAPSHOT };
  const text = toJsonString(ShardManifestSchema, create(ShardManifestSchema, { ...id, stateDigest }));
  mkdirSync(join(directory, "snapshots", SNAPSHOT), { recursive: true });
  writeFileSync(join(directory, "snapshots", SNAPSHOT, "manifest.json"), text);
  return { ...id, directory, manifestSha256: createHash("sha256").update(text).digest("hex"), stateDigest };
}
