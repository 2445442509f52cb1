import { join } from "node:path";
import { portOf } from "../../../src/process/ready-line.ts";
import type { BenchPods } from "../mesh/bench-pods.ts";
import { AskedProcess } from "../process/asked-process.ts";
import type { ServedPod } from "../service/pod-process.ts";
import type { LinkQuality } from "./delay-relay.ts";

/** Pods that are some milliseconds away. */
export class DelayedNetwork {
  readonly #process: AskedProcess;
  readonly #ports: ReadonlyMap<string, number>;

  private constructor(process: AskedProcess, ports: ReadonlyMap<string, number>) {
    this.#process = process;
    this.#ports = ports;
  }

  static async start({ pods }: BenchPods): Promise<DelayedNetwork> {
    const process = AskedProcess.fork("network", join(import.meta.dirname, "relay-process.ts"));
    const ports = await process.ask<number[]>(
      "open",
      pods.map((pod) => portOf(pod.address)),
    );
    return new DelayedNetwork(process, new Map(pods.map((pod, i) => [pod.address, ports[i] as number])));
  }

  /** What a gateway dials for a pod. */
  addressOf(pod: ServedPod): string {
    return `127.0.0.1:${this.#ports.get(pod.address)}`;
  }

  setQuality(quality: LinkQuality): Promise<void> {
    return this.#process.ask("setQuality", { ...quality });
  }

  stop(): Promise<void> {
    return this.#process.stop();
  }
}
