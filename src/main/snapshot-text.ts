import { toJson } from "@bufbuild/protobuf";
import { type Timestamp, timestampDate } from "@bufbuild/protobuf/wkt";
import {
  type ControlledSnapshot,
  ControlledSnapshotSchema,
  SnapshotPhase,
} from "../wire/generated/skynetes/v1/control_pb.ts";
import { RetireReason } from "../wire/generated/skynetes/v1/table_pb.ts";
import { phaseName } from "./control-client.ts";
import { tableText } from "./print-table.ts";

export function snapshotJson(snapshot: ControlledSnapshot): unknown {
  return toJson(ControlledSnapshotSchema, snapshot, { alwaysEmitImplicit: true });
}

export function snapshotListText(snapshots: readonly ControlledSnapshot[]): string {
  if (snapshots.length === 0) return "no snapshots\n";
  return tableText(
    ["ID", "PHASE", "AS OF", "CREATED", "SERVING", "NOTES"],
    snapshots.map((snapshot) => [
      snapshot.id,
      phaseName(snapshot.phase),
      timeText(snapshot.asOf),
      timeText(snapshot.createdAt),
      snapshot.serving.map(({ version }) => version).join(" ") || "-",
      [snapshot.pinned ? "pinned" : "", snapshot.scheduled ? "scheduled" : "", retiredText(snapshot), snapshot.message]
        .filter((note) => note !== "")
        .join(", "),
    ]),
  );
}

export function snapshotText(snapshot: ControlledSnapshot): string {
  if (snapshot.phase === SnapshotPhase.RETIRED) {
    const note = retiredText(snapshot);
    return `id     ${snapshot.id}\nphase  retired\n${note === "" ? "" : `note   ${note}\n`}`;
  }
  const lines: [string, string][] = [
    ["id", snapshot.id],
    ["phase", phaseName(snapshot.phase)],
    ...(snapshot.message === "" ? [] : [["message", snapshot.message] as [string, string]]),
    ["as of", timeText(snapshot.asOf)],
    ["created", timeText(snapshot.createdAt)],
    ...(snapshot.retiredAt === undefined ? [] : [["retired", retiredText(snapshot)] as [string, string]]),
    ["pinned", snapshot.pinned ? "yes" : "no"],
    ["scheduled", snapshot.scheduled ? "yes" : "no"],
  ];
  const serving = new Map(snapshot.serving.map(({ service, version }) => [service, version]));
  for (const { service, version } of snapshot.bindings) {
    const now = serving.get(service);
    lines.push([service, now === version ? version : `${version} wished, ${now ?? "nothing"} serving`]);
  }
  for (const { topic, partition, position } of snapshot.cut?.positions ?? []) {
    lines.push([`${topic}/${partition}`, `records below offset ${position}`]);
  }
  const width = Math.max(...lines.map(([name]) => name.length));
  return `${lines.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join("\n")}\n`;
}

const WHY: Readonly<Record<RetireReason, string>> = {
  [RetireReason.UNSPECIFIED]: "retired",
  [RetireReason.PERSON]: "retired by hand",
  [RetireReason.KEEP]: "expired, newer ones are kept",
  [RetireReason.KEEP_FOR]: "expired, older than any is kept",
};

/** When and why it was retired; empty when that is not known, or it is not. */
function retiredText({ retiredAt, retireReason }: ControlledSnapshot): string {
  return retiredAt === undefined ? "" : `${WHY[retireReason]} at ${timeText(retiredAt)}`;
}

function timeText(time: Timestamp | undefined): string {
  return time === undefined ? "-" : timestampDate(time).toISOString();
}
