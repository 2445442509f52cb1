import { create, type DescService, fromBinary, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Fault } from "../../../src/fault/fault.ts";
import { Gateway } from "../../../src/gateway/gateway.ts";
import { DEFAULT_LIMITS, type GatewayLimits } from "../../../src/gateway/gateway-config.ts";
import type { Answer } from "../../../src/gateway/query/answer.ts";
import type { PreparedQuery } from "../../../src/gateway/query/prepared-query.ts";
import type { QueryIntent } from "../../../src/gateway/receive/query-intent.ts";
import type { ShardCall, ShardReply, ShardTransport } from "../../../src/gateway/scatter/shard-transport.ts";
import { loadRoutingState } from "../../../src/gateway/table/load-routing-state.ts";
import type { RoutingState } from "../../../src/gateway/table/routing-state.ts";
import type { Stamp } from "../../../src/mesh/stamp.ts";
import { nextTurn } from "../../../src/process/turn.ts";
import { SealSchema } from "../../../src/wire/generated/skynetes/v1/seal_pb.ts";
import { RouteTableSchema } from "../../../src/wire/generated/skynetes/v1/table_pb.ts";
import { VirtualClock } from "../../process/virtual-clock.ts";
import { probeMessage, probeService } from "../probe-service.ts";
import { SERVICE } from "../scripted-mesh.ts";

/** Everything that follows without a shard or a timer has happened. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await nextTurn();
}

/** A call that a shard got; it waits until the test answers it. */
export interface AskedShard {
  readonly call: ShardCall;
  readonly signal: AbortSignal;
  readonly request: { readonly number: bigint; readonly text?: string };
  answer(rows: bigint, change?: Partial<Stamp>): void;
  /** Bytes that are no message. */
  garble(): void;
  fail(fault: Fault): void;
}

export interface MemoryMeshOptions {
  /** State digests by shard, and the version that answers. */
  readonly snapshots: Readonly<Record<string, { readonly version: string; readonly digests: readonly string[] }>>;
  readonly rule?: Parameters<typeof probeService>[1];
  readonly limits?: Partial<GatewayLimits>;
  readonly joins?: boolean;
}

type Wish = Partial<Omit<QueryIntent, "target" | "body">> & { readonly snapshot?: string; readonly body?: object };

/** A gateway over shards that are functions of the test, and a clock that stands still. */
export class MemoryMesh {
  readonly clock = new VirtualClock();
  readonly calls: AskedShard[] = [];
  readonly gateway: Gateway;
  /** Answers at once. */
  respond: ((asked: AskedShard) => void) | undefined;
  state: RoutingState;
  readonly #desc: DescService;

  private constructor(desc: DescService, state: RoutingState, options: MemoryMeshOptions) {
    this.#desc = desc;
    this.state = state;
    const transport: ShardTransport = {
      unary: (call, signal) => this.#unary(call, signal),
      stream: () => Promise.reject(new Error("no stream here")),
      greet: async () => undefined,
      keep() {},
      close() {},
    };
    let ids = 0;
    this.gateway = new Gateway({
      transport,
      clock: this.clock,
      randomness: { unit: () => 0.5, id: () => `q${++ids}` },
      limits: { ...DEFAULT_LIMITS, ...options.limits },
      joins: options.joins ?? true,
      takeLoopDelay: () => 0,
      currentState: () => this.state,
    });
  }

  static async start(options: MemoryMeshOptions): Promise<MemoryMesh> {
    const { desc } = probeService(undefined, options.rule);
    return new MemoryMesh(desc, await stateOf(options, 1n), options);
  }

  /** Another table, with one more epoch. */
  async swap(options: MemoryMeshOptions): Promise<void> {
    this.state = await stateOf(options, this.state.epoch + 1n);
  }

  prepare({ snapshot = "s1", body = {}, ...rest }: Wish): PreparedQuery {
    return this.gateway.prepare({
      target: { snapshot, service: SERVICE, method: "Echo" },
      body: { kind: "json", value: body, pointer: "" },
      quality: { kind: "strict" },
      signal: new AbortController().signal,
      ...rest,
    });
  }

  ask(wish: Wish = {}): Promise<Answer> {
    const answer = this.gateway.answer(this.prepare(wish));
    // Tests look at faults when they come to them.
    answer.catch(() => undefined);
    return answer;
  }

  /** The rows of an answer, which is closed. */
  async rows(answer: Promise<Answer>): Promise<bigint> {
    const given = await answer;
    const pieces = given.pieces;
    given.close();
    const output = this.#desc.method.echo!.output;
    return (fromBinary(output, Buffer.concat(pieces)) as unknown as { rows: bigint }).rows;
  }

  #unary(call: ShardCall, signal: AbortSignal): Promise<ShardReply> {
    return new Promise((resolve, reject) => {
      const { input, output } = this.#desc.method.echo!;
      const { shard, snapshot, version: serviceVersion } = call;
      const stateDigest = this.state.snapshots.get(snapshot)?.shardSeals.get(shard)?.stateDigest ?? "";
      const stamp = { shard, snapshot, stateDigest, serviceVersion };
      const asked: AskedShard = {
        call,
        signal,
        request: fromBinary(input, call.request) as never,
        answer: (rows, change) => {
          const message = toBinary(output, probeMessage(this.#desc, "EchoResponse", { rows }));
          resolve({ stamp: { ...stamp, ...change }, message, bounds: undefined });
        },
        garble: () => resolve({ stamp, message: Uint8Array.of(0xff), bounds: undefined }),
        fail: reject,
      };
      // As a real call does: its own deadline ends it, and so does who no longer waits.
      this.clock.after(call.timeoutMs, () => reject(new Fault("deadline-exceeded", "shard: too late", { shard })));
      signal.addEventListener("abort", () => reject(new Fault("cancelled", "shard: nobody waits")));
      this.calls.push(asked);
      this.respond?.(asked);
    });
  }
}

export function stateOf({ snapshots, rule }: MemoryMeshOptions, epoch: bigint): Promise<RoutingState> {
  const { set: descriptors } = probeService(undefined, rule);
  const all = Object.entries(snapshots);
  const shards = all[0]![1].digests.length;
  const versions = [...new Set(all.map(([, { version }]) => version))];
  const cutOf = (n: number) => ({
    positions: Array.from({ length: shards }, (_, partition) => ({
      topic: "t",
      topicId: "x",
      partition,
      position: BigInt(n),
    })),
  });
  const seals = new Map(
    all.map(([id, { digests }], n) => [
      id,
      create(SealSchema, {
        mesh: "probe",
        snapshot: id,
        shards,
        cut: cutOf(n + 1),
        shardSeals: digests.map((stateDigest, shard) => ({ shard, stateDigest, rows: 100n })),
      }),
    ]),
  );
  const table = create(RouteTableSchema, {
    mesh: "probe",
    epoch,
    shards: Array.from({ length: shards }, (_, shard) => ({
      shard,
      placements: [
        { node: "node-a", endpoints: versions.map((version) => ({ version, address: `shard-${shard}:1` })) },
      ],
    })),
    versions: versions.map((name) => ({ name, service: SERVICE, descriptors })),
    snapshots: all.map(([id, { version }], n) => ({
      id,
      sealSha256: `${id}-seal`,
      cut: cutOf(n + 1),
      createdAt: timestampFromMs(1_700_000_000_000 + n),
      bindings: [{ service: SERVICE, version }],
    })),
  });
  return loadRoutingState(table, undefined, async (snapshot) => seals.get(snapshot)!);
}
