import type { Action } from "../../lifecycle/action.ts";

/**
 * What an action works on. Two actions on one thing never run at the same time, even when they are of different plans:
 * a bind that is under way is over before an unbind of the same tuple begins.
 */
export function actionTarget(action: Action): string {
  switch (action.kind) {
    case "freeze":
      return `freeze ${action.snapshot} shard ${action.shard} on ${action.node}`;
    case "bind":
    case "unbind":
      return `bind ${action.snapshot} shard ${action.shard} to ${action.version} on ${action.node}`;
    case "verify":
    case "apply":
      return `gateway ${action.gateway}`;
    case "publish":
      return "table";
    case "drop":
      return `drop ${action.snapshot} on ${action.node}`;
    case "rederive":
      return `rederive ${action.snapshot} shard ${action.shard} on ${action.node}`;
    case "quarantine":
    case "rebuild":
    case "readmit":
    case "host":
    case "release":
    case "remove":
      return `shard ${action.shard} on ${action.node}`;
    case "create-scheduled":
    case "cut":
    case "adopt":
    case "seal":
    case "retire":
    case "doom":
    case "delete-seal":
    case "forget":
      return `snapshot ${action.snapshot}`;
    default:
      return action satisfies never;
  }
}

/** The snapshot that an action serves, where it is one. */
export function actionSnapshot(action: Action): string | undefined {
  return "snapshot" in action ? action.snapshot : undefined;
}
