import type { ProfileJson, VisitJson } from "./profile-json.ts";

type Cell = string | number | boolean | undefined;

/** A column is shown when any shard has something in it. */
const COLUMNS: readonly (readonly [string, (visit: VisitJson) => Cell])[] = [
  ["shard", (v) => v.shard],
  ["node", (v) => v.node],
  ["pod", (v) => v.pod],
  ["by", (v) => v.transport],
  ["tries", (v) => v.attempts],
  ["won by", (v) => v.wonBy],
  ["cached", (v) => (v.cached ? "yes" : undefined)],
  ["answer ms", (v) => v.answerMs],
  ["placement queue", (v) => v.placementQueueMs],
  ["service queue", (v) => v.serviceQueueMs],
  ["service", (v) => v.serviceMs],
  ["network", (v) => v.networkMs],
  ["merge", (v) => v.mergeMs],
  ["bytes", (v) => v.bytes],
  ["groups", (v) => v.groups],
  ["rows", (v) => v.rows],
  ["calls a frame", (v) => v.callsInFrame],
  ["fault", (v) => v.fault],
];

/** A profile for people: totals, and a table for each round. */
export function profileText(method: string, profile: Omit<ProfileJson, "text">): string {
  const { snapshot, totals, shards, leftOut } = profile;
  const steps = Object.entries(totals.stepMs).map(([name, ms]) => `${name} ${ms}`);
  const counts = [
    `${totals.questions} questions in ${totals.rounds} ${totals.rounds === 1 ? "round" : "rounds"}`,
    ...(totals.attempts === undefined ? [] : [`${totals.attempts} calls, ${totals.hedged} hedged`]),
    ...(totals.cached === 0 ? [] : [`${totals.cached} from the cache`]),
    ...(totals.failed === 0 ? [] : [`${totals.failed} failed`]),
    `${totals.bytes} bytes`,
  ];
  const lines = [
    `${method} at snapshot ${snapshot.id}, version ${snapshot.version}, epoch ${snapshot.epoch}`,
    `${totals.totalMs} ms: ${steps.join(", ")}`,
    counts.join(", "),
    ...leftOut.map(({ shard, reason }) => `shard ${shard} left out: ${reason}`),
  ];
  for (let round = 1; round <= totals.rounds; round++) {
    lines.push("", `round ${round}`, ...table(shards.filter((visit) => visit.round === round)));
  }
  return lines.join("\n");
}

function table(visits: readonly VisitJson[]): string[] {
  const columns = COLUMNS.map(([title, read]) => ({
    title,
    cells: visits.map((visit) => read(visit)?.toString() ?? ""),
  })).filter(({ cells }) => cells.some((cell) => cell !== ""));
  const rows = [
    columns.map(({ title }) => title),
    ...visits.map((_, row) => columns.map(({ cells }) => cells[row] ?? "")),
  ];
  const widths = columns.map(({ title, cells }) => Math.max(title.length, ...cells.map((cell) => cell.length)));
  return rows.map((row) => `  ${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join("  ")}`.trimEnd());
}
