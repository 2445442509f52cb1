import { SNAPSHOT_ID_RULE, snapshotId } from "../../mesh/snapshot-id.ts";
import { parseRfc3339, RFC3339_RULE } from "../value/rfc3339.ts";
import { checkBindings } from "./check-bindings.ts";
import { checkUnique, type Drafts, type Report } from "./drafts.ts";

/** Snapshots: ids, times and bindings. */
export function checkSnapshots(drafts: Drafts, report: Report): void {
  checkUnique(
    drafts.snapshots.map(({ source, draft }) => [draft.metadata?.name, (m) => report(source, ["metadata", "name"], m)]),
    "Snapshot",
  );
  const unordered = drafts.meshes
    .flatMap((mesh) => mesh.draft.spec?.topics ?? [])
    .flatMap((topic) => (topic?.timestamps === "Unordered" ? [topic.name ?? "?"] : []));
  for (const { source, draft } of drafts.snapshots) {
    const name = draft.metadata?.name;
    if (name !== undefined && snapshotId(name) === undefined) {
      report(source, ["metadata", "name"], `found ${JSON.stringify(name)}; allowed: ${SNAPSHOT_ID_RULE}`);
    }
    const asOf = draft.spec?.asOf;
    if (asOf !== undefined && parseRfc3339(asOf) === undefined) {
      report(source, ["spec", "asOf"], `found ${JSON.stringify(asOf)}; allowed: ${RFC3339_RULE}`);
    }
    if (asOf !== undefined && unordered.length > 0 && draft.spec?.allowInexactAsOf !== true) {
      const topics = unordered.join(", ");
      report(source, ["spec", "asOf"], `timestamps of ${topics} are Unordered: it needs allowInexactAsOf: true`);
    }
    checkBindings(source, ["spec", "bindings"], draft.spec?.bindings, drafts, report);
  }
}
