import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AskedProcess } from "../process/asked-process.ts";
import type { PodBehaviour } from "../service/bench-service.ts";
import type { PodPlace, ServedPod } from "../service/pod-process.ts";

export interface PodsOptions {
  readonly shards: number;
  /** Of each shard. */
  readonly placements?: number;
  /** Over how many processes the pods are spread; two, as the machine has cores. Pods of one placement stay together. */
  readonly processes?: number;
  /** What they listen on. */
  readonly host?: string;
}

/** The shards' side of a benchmark: real service processes over the kit. */
export class BenchPods {
  readonly shards: number;
  /** By shard, then placement. */
  readonly pods: readonly ServedPod[];
  readonly processes: readonly AskedProcess[];
  readonly #directory: string;

  private constructor(parts: {
    readonly shards: number;
    readonly pods: readonly ServedPod[];
    readonly processes: readonly AskedProcess[];
    readonly directory: string;
  }) {
    this.shards = parts.shards;
    this.pods = parts.pods;
    this.processes = parts.processes;
    this.#directory = parts.directory;
  }

  static async start({ shards, placements = 1, processes = 2, host = "127.0.0.1" }: PodsOptions): Promise<BenchPods> {
    const directory = mkdtempSync(join(tmpdir(), "skynetes-bench-pods-"));
    const places = Array.from({ length: shards * placements }, (_, i) => ({
      shard: i % shards,
      placement: Math.floor(i / shards),
    }));
    const groups = dealt(places, Math.min(processes, places.length), placements);
    const started = groups.map((_, i) =>
      AskedProcess.fork(`pods-${i}`, join(import.meta.dirname, "../service/pod-process.ts"), [host]),
    );
    const pods = await Promise.all(
      started.map((process, i) => process.ask<ServedPod[]>("serve", directory, [...(groups[i] as PodPlace[])])),
    );
    const sorted = pods.flat().sort((a, b) => a.shard - b.shard || a.placement - b.placement);
    return new BenchPods({ shards, pods: sorted, processes: started, directory });
  }

  get pids(): readonly number[] {
    return this.processes.map(({ pid }) => pid);
  }

  /** Calls that handlers have got since the start. */
  async calls(): Promise<number> {
    const counts = await Promise.all(this.processes.map((process) => process.ask<number>("calls")));
    return counts.reduce((sum, calls) => sum + calls, 0);
  }

  /** Of all pods, or of those of one process. */
  async behave(behaviour: Partial<PodBehaviour>, process?: number): Promise<void> {
    const chosen = process === undefined ? this.processes : this.processes.slice(process, process + 1);
    await Promise.all(chosen.map((p) => p.ask("behave", { ...behaviour })));
  }

  async stop(): Promise<void> {
    await Promise.all(this.processes.map((process) => process.stop()));
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** Round by round, but whole placements to a process where there are as many processes as placements or fewer. */
function dealt(places: readonly PodPlace[], processes: number, placements: number): PodPlace[][] {
  const groups: PodPlace[][] = Array.from({ length: processes }, () => []);
  for (const place of places) {
    const index = placements >= processes ? place.placement : place.shard * placements + place.placement;
    groups[index % processes]!.push(place);
  }
  return groups;
}
