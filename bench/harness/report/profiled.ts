import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { RunningPeer } from "../mesh/running-peer.ts";

/** Runs `work` with a CPU profile of the peer in `directory`, for peers that can make one. */
export async function profiled<T>(
  peer: RunningPeer,
  directory: string | undefined,
  name: string,
  work: () => Promise<T>,
): Promise<T> {
  if (directory === undefined || peer.profile === undefined) return work();
  mkdirSync(directory, { recursive: true });
  const stop = await peer.profile(join(directory, `${name.replaceAll(/[^a-z0-9-]+/gi, "_")}.cpuprofile`));
  try {
    return await work();
  } finally {
    await stop();
  }
}
