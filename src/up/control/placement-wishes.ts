/**
 * Where shards are wished to be, as changes of the control state. Pure: the caller makes the result durable before it
 * answers. A change takes effect as a move: what joins serves before what leaves goes (`src/lifecycle/plan-placement.ts`).
 */
import { Fault } from "../../fault/fault.ts";
import type { Placement } from "../../lifecycle/placement.ts";
import type { Quarantine } from "../../lifecycle/quarantine.ts";
import type { Manifest } from "../../manifest/manifest.ts";
import type { ControlState } from "./control-state.ts";

/**
 * The placements as the manifest gives them, where it gives others than last time: moves that were wished for by hand stay
 * until the manifest itself changes, and then the manifest's win. Fault `invalid-manifest` when a node that still holds a
 * shard is not in the manifest: nobody could take over from it.
 */
export function takePlacements(state: ControlState, { mesh }: Manifest): ControlState {
  const first = state.placements.length === 0;
  let placements = first
    ? mesh.placements.flatMap((nodes, shard) => nodes.map((node): Placement => ({ shard, node, phase: "Placed" })))
    : state.placements;
  for (const [shard, nodes] of mesh.placements.entries()) {
    const before = state.placementsFromManifest[shard];
    if (!first && before?.join() !== nodes.join()) placements = placed(placements, shard, nodes);
  }
  const unknown = placements.find(({ node }) => !mesh.nodes.some(({ name }) => name === node));
  if (unknown !== undefined) {
    throw new Fault(
      "invalid-manifest",
      `place shard ${unknown.shard}: it is still on ${unknown.node}, which the manifest does not name; keep the node until the shard has moved`,
    );
  }
  return { ...state, placements, placementsFromManifest: mesh.placements };
}

/** Faults `invalid-request`: there is no such shard or node, `from` does not hold it, or `to` does already. */
export function moveShard(
  state: ControlState,
  { shard, from, to }: { readonly shard: number; readonly from: string; readonly to: string },
  { mesh }: Manifest,
): ControlState {
  const attempted = `move shard ${shard} from "${from}" to "${to}"`;
  const refuse = (why: string) => new Fault("invalid-request", `${attempted}: ${why}`);
  const here = state.placements.filter((p) => p.shard === shard);
  if (here.length === 0) throw refuse(`there are shards 0 to ${mesh.shards - 1}`);
  const known = mesh.nodes.map(({ name }) => name);
  if (!known.includes(to)) throw refuse(`the mesh has the nodes ${known.join(", ")}`);
  const staying = here.filter(isStaying).map(({ node }) => node);
  if (!staying.includes(from)) throw refuse(`it is on ${staying.join(", ")}`);
  if (staying.includes(to)) throw refuse(`${to} holds it already`);
  const placements = placed(
    state.placements,
    shard,
    staying.map((node) => (node === from ? to : node)),
  );
  return { ...state, placements };
}

/** What joins leaves again, and what leaves stays. Fault `invalid-request`: no move of the shard is under way. */
export function cancelMove(state: ControlState, shard: number): ControlState {
  const isOver = !state.placements.some((p) => p.shard === shard && p.phase === "Leaving");
  if (isOver) throw new Fault("invalid-request", `cancel the move of shard ${shard}: none is under way`);
  const back = (p: Placement): Placement => {
    if (p.shard !== shard) return p;
    if (p.phase === "Leaving") return { ...p, phase: "Placed" };
    return p.phase === "Joining" ? { ...p, phase: "Leaving" } : p;
  };
  return { ...state, placements: state.placements.map(back) };
}

/** A placement is not needed any more; with the last of them the move is over, and what joined is placed. */
export function releasePlacement(state: ControlState, shard: number, node: string): ControlState {
  const released = state.placements.map(
    (p): Placement => (isAt(p, shard, node) && p.phase === "Leaving" ? { ...p, phase: "Removing" } : p),
  );
  const isOver = !released.some((p) => p.shard === shard && p.phase === "Leaving");
  const settled = (p: Placement): Placement =>
    isOver && p.shard === shard && p.phase === "Joining" ? { ...p, phase: "Placed" } : p;
  return { ...state, placements: released.map(settled) };
}

/** Nothing is left of it on its node. One that was wished back meanwhile stays. */
export function forgetPlacement(state: ControlState, shard: number, node: string): ControlState {
  const placements = state.placements.filter((p) => !(isAt(p, shard, node) && p.phase === "Removing"));
  return { ...state, placements };
}

export function quarantineReplica(state: ControlState, quarantine: Quarantine): ControlState {
  if (state.quarantined.some((q) => isAt(q, quarantine.shard, quarantine.node))) return state;
  return { ...state, quarantined: [...state.quarantined, quarantine] };
}

export function replicaRebuilt(state: ControlState, shard: number, node: string): ControlState {
  const rebuilt = (q: Quarantine) => (isAt(q, shard, node) ? { ...q, rebuilt: true } : q);
  return { ...state, quarantined: state.quarantined.map(rebuilt) };
}

export function readmitReplica(state: ControlState, shard: number, node: string): ControlState {
  return { ...state, quarantined: state.quarantined.filter((q) => !isAt(q, shard, node)) };
}

/** The shard on exactly these nodes; those that it was on before leave when the new ones serve. */
function placed(placements: readonly Placement[], shard: number, nodes: readonly string[]): readonly Placement[] {
  const here = placements.filter((p) => p.shard === shard);
  const leaves = here.some((p) => isStaying(p) && !nodes.includes(p.node)) || here.some((p) => p.phase === "Leaving");
  const phaseOf = (node: string): Placement["phase"] => {
    const known = here.find((p) => p.node === node)?.phase;
    if (known === "Placed" || known === "Leaving") return "Placed";
    return leaves ? "Joining" : "Placed";
  };
  return [
    ...placements.filter((p) => p.shard !== shard),
    ...nodes.map((node): Placement => ({ shard, node, phase: phaseOf(node) })),
    ...here
      .filter(({ node }) => !nodes.includes(node))
      .map((p): Placement => ({ ...p, phase: p.phase === "Removing" ? "Removing" : "Leaving" })),
  ].sort((a, b) => a.shard - b.shard);
}

function isStaying({ phase }: Placement): boolean {
  return phase === "Placed" || phase === "Joining";
}

function isAt(p: { readonly shard: number; readonly node: string }, shard: number, node: string): boolean {
  return p.shard === shard && p.node === node;
}
