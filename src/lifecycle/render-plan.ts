import { cutText } from "../mesh/cut.ts";
import type { Action } from "./action.ts";
import type { MeshPlan } from "./mesh-plan.ts";

/** The plan for people: where each snapshot stands, what is done now, what is waited for. */
export function renderPlan(plan: MeshPlan): string {
  const width = Math.max(0, ...plan.phases.map(({ snapshot }) => snapshot.length));
  const sections: readonly (readonly [title: string, lines: readonly string[]])[] = [
    ["snapshots", plan.phases.map((p) => `${p.snapshot.padEnd(width)}  ${p.phase.padEnd(9)}  ${p.message}`.trimEnd())],
    ["now", plan.actions.map(renderAction)],
    [
      "waiting",
      plan.waiting.map(({ snapshot, reason }) => (snapshot === undefined ? reason : `${snapshot}: ${reason}`)),
    ],
  ];
  return sections
    .map(([title, lines]) =>
      [title, ...(lines.length === 0 ? ["nothing"] : lines).map((line) => `  ${line}`)].join("\n"),
    )
    .join("\n")
    .concat("\n");
}

/** One action as one line. */
export function renderAction(action: Action): string {
  switch (action.kind) {
    case "create-scheduled":
      return `create ${action.snapshot}, due at ${new Date(action.dueMs).toISOString()}`;
    case "cut":
      return `cut ${action.snapshot} as of ${action.asOfMs === undefined ? "now" : new Date(action.asOfMs).toISOString()}`;
    case "adopt":
      return `adopt ${action.snapshot} from the archive at ${cutText(action.cut.positions)}`;
    case "freeze":
      return `freeze ${action.snapshot} shard ${action.shard} on ${action.node} at ${cutText(action.cut)}`;
    case "seal":
      return `seal ${action.snapshot} of ${action.replicas.length} replicas at ${cutText(action.cut.positions)}`;
    case "bind":
    case "unbind":
      return `${action.kind} ${action.snapshot} shard ${action.shard} on ${action.node} ${
        action.kind === "bind" ? "to" : "from"
      } ${action.version} at ${action.address}`;
    case "verify":
      return `verify ${action.tuples.map((t) => `${t.snapshot} with ${t.version}`).join(", ")} on gateway ${action.gateway}`;
    case "publish":
      return `publish table ${action.table.epoch}: ${action.table.snapshots
        .map((s) => `${s.id} (${s.bindings.map((b) => b.version).join(", ")})`)
        .join(", ")}`.trimEnd();
    case "apply":
      return `apply table ${action.table.epoch} on gateway ${action.gateway}`;
    case "rederive":
      return `work out shard ${action.shard} of ${action.snapshot} from the log on ${action.node} at ${cutText(action.cut)}`;
    case "quarantine":
      return `quarantine shard ${action.shard} on ${action.node}: at ${action.snapshot} it has ${action.stateDigest}, not ${action.expected}`;
    case "rebuild":
      return `build shard ${action.shard} on ${action.node} anew from the log`;
    case "readmit":
      return `readmit shard ${action.shard} on ${action.node}`;
    case "host":
      return `host shard ${action.shard} on ${action.node}`;
    case "release":
      return `release shard ${action.shard} from ${action.node}`;
    case "remove":
      return `remove shard ${action.shard} from ${action.node}`;
    case "retire":
      return `retire ${action.snapshot}: ${action.why === "Keep" ? "newer ones serve" : "it is older than any is kept"}`;
    case "doom":
      return `let ${action.snapshot} go: its retirement is not taken back any more`;
    case "drop":
      return `drop ${action.snapshot} on ${action.node}`;
    case "delete-seal":
      return `delete the seal of ${action.snapshot}`;
    case "forget":
      return `forget ${action.snapshot}`;
    default:
      return action satisfies never;
  }
}
