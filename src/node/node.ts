import { Fault } from "../fault/fault.ts";
import { SNAPSHOT_ID_RULE, snapshotId } from "../mesh/snapshot-id.ts";
import { step } from "../telemetry/step-channel.ts";
import { BindingService, type BindResponse } from "../wire/generated/skynetes/v1/binding_pb.ts";
import type { NodeAgentService } from "../wire/generated/skynetes/v1/node_agent_pb.ts";
import type { ShardManifest } from "../wire/generated/skynetes/v1/seal_pb.ts";
import { type UnaryHandlers, unaryClient } from "../wire/grpc-service.ts";
import { advanceFrom } from "./advance-from.ts";
import type { Archive } from "./archive/archive.ts";
import { HostedShard } from "./hosted-shard.ts";
import { ByteBudget } from "./ingest/byte-budget.ts";
import { INGEST_LIMITS } from "./ingest/ingest-limits.ts";
import type { PartitionLag } from "./ingest/partition-lag.ts";
import type { NodeConfig } from "./node-config.ts";
import type { ObservedIngest } from "./observe-ingest.ts";
import { OneAtATime } from "./one-at-a-time.ts";
import { rederiveShard } from "./rederive-shard.ts";
import { checkedLimit, rejectPage } from "./reject-page.ts";
import { clearRemoved, emptyShard, removeShard } from "./remove-shard.ts";
import { cutFromWire, wireCut } from "./snapshot/manifest-cut.ts";

/** A service reads and digests the whole shard before it answers. */
const BIND_TIMEOUT_MS = 120_000;
const UNBIND_TIMEOUT_MS = 10_000;
/** A driver asks for each shard once at a time. */
const SHARD_CHANGES_WAITING_MAX = 1_024;

/**
 * The node's way: log → ingest → store → snapshot → archive, for each shard that is placed here, and what the driver of
 * snapshots may ask of it.
 */
export class Node {
  readonly #config: NodeConfig;
  readonly #instance: string;
  readonly #archive: Archive;
  readonly #shards: Map<number, HostedShard>;
  readonly #budget: ByteBudget;
  readonly #stopping = new AbortController();
  /** Which shards there are, changed by one at a time. */
  readonly #changes = new OneAtATime("change the shards of this node", SHARD_CHANGES_WAITING_MAX);
  readonly #rederives = new OneAtATime("rederive a shard", SHARD_CHANGES_WAITING_MAX);

  private constructor(config: NodeConfig, shards: readonly HostedShard[], archive: Archive) {
    this.#config = config;
    this.#archive = archive;
    this.#budget = new ByteBudget({ ...INGEST_LIMITS, ...config.ingest }.heldBytesMax);
    this.#instance = config.randomness.id();
    this.#shards = new Map(shards.map((shard) => [shard.shard, shard]));
  }

  static async open(config: NodeConfig, archive: Archive): Promise<Node> {
    const shards: HostedShard[] = [];
    await clearRemoved(config);
    try {
      for (const shard of config.shards) shards.push(await HostedShard.open(config, shard, archive));
    } catch (error) {
      await Promise.all(shards.map((shard) => shard.close()));
      throw error;
    }
    return new Node(config, shards, archive);
  }

  /** Starts to ingest. */
  start(): void {
    for (const shard of this.#shards.values()) shard.start(this.#budget, this.#stopping.signal);
  }

  get ingest(): ObservedIngest {
    const shards = this.#shards;
    const budget = this.#budget;
    return {
      get heldBytes() {
        return budget.held;
      },
      get shards() {
        return [...shards.values()].map(({ shard, status }) => ({ shard, lags: status.lags }));
      },
    };
  }

  async close(): Promise<void> {
    this.#stopping.abort(new DOMException("the node is stopping", "AbortError"));
    await this.#changes.run(() => Promise.all([...this.#shards.values()].map((shard) => shard.close())));
    await this.#rederives.run(async () => {});
  }

  get handlers(): UnaryHandlers<typeof NodeAgentService> {
    return {
      getNodeStatus: () => ({
        node: this.#config.node,
        instance: this.#instance,
        shards: [...this.#shards.values()].map(statusOf),
      }),
      freezeShard: ({ snapshot, shard, cut }) => {
        const hosted = this.#hosted(shard, `snapshot "${checkId(snapshot)}"`);
        return step("node", "freeze", { shard, snapshot }, async (event) => {
          const { manifest, manifestSha256 } = await hosted.freeze(snapshot, cutFromWire(cut));
          event.facts.rows = Number(manifest.tables.reduce((sum, table) => sum + table.rows, 0n));
          return { manifest, manifestSha256 };
        });
      },
      bindShard: ({ snapshot, shard, address }, { signal }) => {
        const hosted = this.#hosted(shard, `snapshot "${checkId(snapshot)}"`);
        return step("node", "bind", { shard, snapshot }, async () => ({
          bound: await this.#bind(hosted, snapshot, address, signal),
        }));
      },
      // Also of a shard that has left this node.
      unbindShard: async ({ snapshot, shard, address }, { signal }) => {
        checkId(snapshot);
        const service = unaryClient(BindingService, address);
        try {
          await service.unbind({ snapshot, shard }, { timeoutMs: UNBIND_TIMEOUT_MS, signal });
        } finally {
          service.close();
        }
        return {};
      },
      readRejects: async ({ shard, after, limit }) => ({
        rejects: rejectPage(await this.#hosted(shard, "read rejects").rejects(after, checkedLimit(limit))),
      }),
      dropSnapshot: ({ snapshot }) => {
        checkId(snapshot);
        return step("node", "drop", { snapshot }, async () => {
          for (const shard of this.#shards.values()) await shard.drop(snapshot);
          return { unbound: [] };
        });
      },
      hostShard: ({ shard }) => step("node", "host", { shard }, () => this.#changes.run(() => this.#host(shard))),
      removeShard: ({ shard }) =>
        step("node", "remove", { shard }, () =>
          this.#changes.run(async () => {
            await this.#shards.get(shard)?.close();
            this.#shards.delete(shard);
            await removeShard(this.#config, shard, this.#archive);
            return {};
          }),
        ),
      rebuildShard: ({ shard, divergent }) =>
        step("node", "rebuild", { shard }, () =>
          this.#changes.run(async () => {
            const hosted = this.#hosted(shard, "rebuild a shard");
            for (const snapshot of divergent) await hosted.drop(checkId(snapshot));
            await hosted.close();
            this.#shards.delete(shard);
            await emptyShard(this.#config, shard);
            return this.#host(shard);
          }),
        ),
      rederiveShard: ({ shard, cut }, { signal }) =>
        step("node", "rederive", { shard }, () =>
          this.#rederives.run(async () => {
            const either = AbortSignal.any([signal, this.#stopping.signal]);
            const { manifest } = await rederiveShard(this.#config, shard, cutFromWire(cut), either, this.#budget);
            return { stateDigest: manifest.stateDigest, tables: tableDigests(manifest) };
          }),
        ),
    };
  }

  async #host(shard: number): Promise<Record<string, never>> {
    if (this.#shards.has(shard) || this.#stopping.signal.aborted) return {};
    const hosted = await HostedShard.open(this.#config, shard, this.#archive);
    this.#shards.set(shard, hosted);
    hosted.start(this.#budget, this.#stopping.signal);
    return {};
  }

  async #bind(hosted: HostedShard, snapshot: string, address: string, signal: AbortSignal): Promise<BindResponse> {
    const { directory, frozen } = await hosted.verified(snapshot);
    const { stateDigest } = frozen.manifest;
    const service = unaryClient(BindingService, address);
    try {
      const bound = await service.bind(
        {
          mesh: this.#config.mesh,
          shard: hosted.shard,
          snapshot,
          directory,
          manifestSha256: frozen.manifestSha256,
          stateDigest,
          advanceFrom: advanceFrom(frozen.manifest, hosted.frozen.values()),
        },
        { timeoutMs: BIND_TIMEOUT_MS, signal },
      );
      const { stamp } = bound;
      if (stamp?.shard !== hosted.shard || stamp.snapshot !== snapshot || stamp.stateDigest !== stateDigest) {
        throw new Fault(
          "stamp-mismatch",
          `bind shard ${hosted.shard} of "${snapshot}" at ${address}: the service bound shard ${stamp?.shard} ` +
            `of "${stamp?.snapshot}" with digest ${stamp?.stateDigest}, expected digest ${stateDigest}`,
          { shard: hosted.shard },
        );
      }
      return bound;
    } finally {
      service.close();
    }
  }

  #hosted(shard: number, attempted: string): HostedShard {
    const hosted = this.#shards.get(shard);
    if (hosted !== undefined) return hosted;
    throw new Fault("invalid-request", `${attempted}: node ${this.#config.node} does not hold shard ${shard}`);
  }
}

/** Ids become paths, so nothing else may. */
function checkId(snapshot: string): string {
  if (snapshotId(snapshot) !== undefined) return snapshot;
  throw new Fault("invalid-request", `${JSON.stringify(snapshot)} is no snapshot id: ${SNAPSHOT_ID_RULE}`);
}

function statusOf(hosted: HostedShard) {
  return {
    shard: hosted.shard,
    position: wireCut(hosted.status.position),
    horizon: wireCut(hosted.horizon),
    frozen: [...hosted.frozen].map(([snapshot, { manifest, manifestSha256 }]) => ({
      snapshot,
      stateDigest: manifest.stateDigest,
      manifestSha256,
      tables: tableDigests(manifest),
    })),
    rejected: hosted.status.rejected,
    alarm: hosted.alarm,
    archiveAlarm: hosted.archiveAlarm,
    lags: hosted.status.lags.map(wireLag),
  };
}

function wireLag({ topic, partition, position, bound, behindMs }: PartitionLag) {
  const behind = { position, behindMs: BigInt(Math.round(behindMs)) };
  return { topic, partition, ...behind, ...(bound === undefined ? {} : { bound }) };
}

function tableDigests({ tables }: ShardManifest) {
  return tables.map(({ name, rows, digest }) => ({ table: name, rows, digest }));
}
