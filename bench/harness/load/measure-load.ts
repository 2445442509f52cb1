import type { BenchPods } from "../mesh/bench-pods.ts";
import type { RunningPeer } from "../mesh/running-peer.ts";
import { cpuSince } from "../process/cpu-time.ts";
import type { LoadGenerator } from "./load-generator.ts";
import type { LoadJob, LoadResult } from "./load-job.ts";

export interface Measured {
  readonly result: LoadResult;
  /** Microseconds of the gateway's processes for each right answer. */
  readonly cpuUsPerAnswer: number;
  /** The same with the services' and whatever else stands between (`alsoPids`). */
  readonly totalCpuUsPerAnswer: number;
  /** Calls that handlers got, for each request sent. */
  readonly callsPerRequest: number;
  /** Calls for each frame to a service; 0 where nothing is packed. */
  readonly callsPerFrame: number;
  /** 0 where there is no event loop. */
  readonly loopDelayP99Ms: number;
}

/** Requests that a run makes ready beforehand, each with its right answer; more are asked again from the first. */
const DISTINCT_MAX = 4096;

export type MeasuredJob = Pick<LoadJob, "load" | "seconds" | "meanServiceUs"> &
  Partial<Pick<LoadJob, "timeoutMs" | "grpc">>;

/** One run of one load against one gateway, with what it costs. Throws when an answer was wrong or shards were skipped. */
export async function measureLoad(
  peer: RunningPeer,
  pods: BenchPods,
  generator: LoadGenerator,
  job: MeasuredJob,
  alsoPids: readonly number[] = [],
): Promise<Measured> {
  const run = await generator.prepare({
    ...job,
    address: job.grpc === undefined ? peer.http : (peer.grpc ?? peer.http),
    shards: pods.shards,
    limit: 10,
    distinct: DISTINCT_MAX,
  });
  await peer.loopDelayP99Ms?.();
  const callsBefore = await pods.calls();
  const framesBefore = await peer.frames?.();
  const gatewayCpu = cpuSince(peer.pids);
  const otherCpu = cpuSince([...pods.pids, ...alsoPids]);
  const result = await run();
  const gatewayNs = gatewayCpu();
  const otherNs = otherCpu();
  const calls = (await pods.calls()) - callsBefore;
  if (calls < result.right * pods.shards) {
    throw new Error(`${peer.name}: ${result.right} answers of ${pods.shards} shards from only ${calls} calls`);
  }
  const frames = framesBefore === undefined ? 0 : ((await peer.frames?.()) ?? 0) - framesBefore;
  return {
    result,
    cpuUsPerAnswer: gatewayNs / 1000 / result.right,
    totalCpuUsPerAnswer: (gatewayNs + otherNs) / 1000 / result.right,
    callsPerRequest: calls / result.sent,
    callsPerFrame: frames === 0 ? 0 : calls / frames,
    loopDelayP99Ms: (await peer.loopDelayP99Ms?.()) ?? 0,
  };
}
