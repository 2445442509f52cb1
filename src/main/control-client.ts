import { sleep, systemClock } from "../process/clock.ts";
import { type ControlledSnapshot, ControlService, SnapshotPhase } from "../wire/generated/skynetes/v1/control_pb.ts";
import { type UnaryClient, unaryClient } from "../wire/grpc-service.ts";
import { findEndpoints } from "./find-endpoints.ts";

export type ControlClient = UnaryClient<typeof ControlService>;

/** A wish is one file write; a cut reads the end of every partition. */
export const CONTROL_TIMEOUT_MS = 15_000;
const WAIT_POLL_MS = 200;

export interface ControlAddress {
  readonly dataDir: string;
  readonly control?: string;
}

export async function withControl<T>(
  { dataDir, control }: ControlAddress,
  work: (client: ControlClient) => Promise<T>,
): Promise<T> {
  const client = unaryClient(ControlService, control ?? findEndpoints(dataDir, "--control").control);
  try {
    return await work(client);
  } finally {
    client.close();
  }
}

/**
 * Polls until `reached`, telling each change of phase; returns the snapshot as it is then, and as it is when the time is
 * over.
 */
export async function waitForSnapshot(
  client: ControlClient,
  id: string,
  wait: { readonly timeoutMs: number; readonly reached: (snapshot: ControlledSnapshot) => boolean },
): Promise<{ readonly snapshot: ControlledSnapshot; readonly reached: boolean }> {
  const until = systemClock.monotonic() + wait.timeoutMs;
  let told = "";
  for (;;) {
    const { snapshot } = await client.getSnapshot({ id }, { timeoutMs: CONTROL_TIMEOUT_MS });
    const found = snapshot as ControlledSnapshot;
    const text = `${id}: ${phaseName(found.phase)}${found.message === "" ? "" : `, ${found.message}`}`;
    if (text !== told) process.stderr.write(`${text}\n`);
    told = text;
    if (wait.reached(found)) return { snapshot: found, reached: true };
    if (systemClock.monotonic() > until) return { snapshot: found, reached: false };
    await sleep(systemClock, WAIT_POLL_MS);
  }
}

const PHASE_NAMES = new Map<number, string>(Object.entries(SnapshotPhase).map(([name, n]) => [n, name.toLowerCase()]));

/** `serving`, `freezing`, … */
export function phaseName(phase: SnapshotPhase): string {
  return PHASE_NAMES.get(phase) ?? "unknown";
}

/** All that is wished for is in the route table. */
export function servesWishes(snapshot: ControlledSnapshot): boolean {
  const served = new Set(snapshot.serving.map(({ service, version }) => `${service} ${version}`));
  return (
    snapshot.phase === SnapshotPhase.SERVING && snapshot.bindings.every((b) => served.has(`${b.service} ${b.version}`))
  );
}

export function isRetired(snapshot: ControlledSnapshot): boolean {
  return snapshot.phase === SnapshotPhase.RETIRED;
}
