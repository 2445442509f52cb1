import type { ServedPod } from "../service/pod-process.ts";
import type { BenchPods } from "./bench-pods.ts";
import { clusterOf, inboundConfig, outboundConfig, shardListener } from "./envoy-config.ts";
import { RunningEnvoy } from "./running-envoy.ts";

/**
 * gateway → Envoy beside it → Envoy before the services → pods. One Envoy stands before all pods, with a listener for
 * each, where a cluster would have as many Envoys; the CPU of passing a byte is the same.
 */
export class EnvoyPair {
  readonly #inbound: RunningEnvoy;
  readonly #outbound: RunningEnvoy;

  private constructor(inbound: RunningEnvoy, outbound: RunningEnvoy) {
    this.#inbound = inbound;
    this.#outbound = outbound;
  }

  static async start({ pods }: BenchPods): Promise<EnvoyPair> {
    // Envoys of one machine need ids of their own.
    const baseId = process.pid * 2;
    const inbound = await RunningEnvoy.start(inboundConfig(pods), baseId);
    const outbound = await RunningEnvoy.start(
      outboundConfig(pods, (pod) => inbound.portOf(clusterOf(pod))),
      baseId + 1,
    );
    return new EnvoyPair(inbound, outbound);
  }

  get pids(): readonly number[] {
    return [this.#inbound.pid, this.#outbound.pid];
  }

  /** What the gateway dials for a pod. */
  addressOf(pod: ServedPod): string {
    return `127.0.0.1:${this.#outbound.portOf(shardListener(pod.shard))}`;
  }

  async stop(): Promise<void> {
    await Promise.all([this.#inbound.stop(), this.#outbound.stop()]);
  }
}
