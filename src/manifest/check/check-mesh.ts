import { Cron } from "croner";
import { suggestion } from "../did-you-mean.ts";
import type { MeshDocument } from "../schema/mesh-schema.ts";
import { DURATION_RULE, parseDuration, parseSize, SIZE_RULE } from "../value/quantity.ts";
import { checkBindings } from "./check-bindings.ts";
import { checkLog } from "./check-log.ts";
import { checkUnique, type Drafted, type Drafts, type Report } from "./drafts.ts";

/** Nodes, placements, schedule and bounds of the mesh. */
export function checkMesh(mesh: Drafted<MeshDocument>, drafts: Drafts, report: Report): void {
  const { source, draft } = mesh;
  const spec = draft.spec;
  checkUnique(
    (spec?.nodes ?? []).map((node, i) => [node?.name, (m) => report(source, ["spec", "nodes", i, "name"], m)]),
    "node",
  );
  checkPlacements(mesh, report);
  checkLog(mesh, report);

  const schedule = spec?.snapshots?.schedule;
  if (schedule !== undefined) {
    const problem = cronProblem(schedule);
    if (problem !== undefined) report(source, ["spec", "snapshots", "schedule"], problem);
  }
  checkBindings(source, ["spec", "snapshots", "bindings"], spec?.snapshots?.bindings, drafts, report);

  const keepFor = spec?.snapshots?.keepFor;
  if (keepFor !== undefined && (parseDuration(keepFor) ?? 0) <= 0) {
    report(source, ["spec", "snapshots", "keepFor"], `found ${JSON.stringify(keepFor)}; allowed: ${DURATION_RULE}`);
  }

  const grace = spec?.retireGrace;
  if (grace !== undefined && parseDuration(grace) === undefined) {
    report(source, ["spec", "retireGrace"], `found ${JSON.stringify(grace)}; allowed: ${DURATION_RULE}`);
  }

  const gateway = spec?.gateway;
  for (const key of ["deadlineDefault", "deadlineMax"] as const) {
    const text = gateway?.[key];
    if (text === undefined || (parseDuration(text) ?? 0) > 0) continue;
    report(source, ["spec", "gateway", key], `found ${JSON.stringify(text)}; allowed: ${DURATION_RULE}`);
  }
  for (const key of ["bodyBytesMax", "partialBytesMax", "groupBytesMax"] as const) {
    const text = gateway?.[key];
    if (text === undefined || (parseSize(text) ?? 0) > 0) continue;
    report(source, ["spec", "gateway", key], `found ${JSON.stringify(text)}; allowed: ${SIZE_RULE}`);
  }
  const usual = parseDuration(gateway?.deadlineDefault ?? "");
  const longest = parseDuration(gateway?.deadlineMax ?? "");
  if (usual !== undefined && longest !== undefined && usual > longest) {
    report(source, ["spec", "gateway", "deadlineDefault"], "is longer than deadlineMax");
  }
}

/** With `placements`, every shard is placed, once, on nodes that exist. */
function checkPlacements({ source, draft }: Drafted<MeshDocument>, report: Report): void {
  const placements = draft.spec?.placements;
  const shards = draft.spec?.shards;
  if (placements === undefined) return;
  const nodes = (draft.spec?.nodes ?? []).flatMap((node) => node?.name ?? []);
  checkUnique(
    placements.map((p, i) => [p?.shard?.toString(), (m) => report(source, ["spec", "placements", i, "shard"], m)]),
    "placement of shard",
  );
  for (const [i, placement] of placements.entries()) {
    if (placement?.shard !== undefined && shards !== undefined && placement.shard >= shards) {
      const message = `there is no shard ${placement.shard}; the mesh has 0 to ${shards - 1}`;
      report(source, ["spec", "placements", i, "shard"], message);
    }
    const path = (j: number) => ["spec", "placements", i, "nodes", j];
    checkUnique(
      (placement?.nodes ?? []).map((name, j) => [name, (m) => report(source, path(j), m)]),
      "placement of this shard on",
    );
    for (const [j, name] of (placement?.nodes ?? []).entries()) {
      if (name === undefined || nodes.includes(name)) continue;
      report(source, path(j), `there is no node ${JSON.stringify(name)}${suggestion(name, nodes)}`);
    }
  }
  const placed = new Set(placements.map((p) => p?.shard));
  const missing = Array.from({ length: shards ?? 0 }, (_, shard) => shard).filter((shard) => !placed.has(shard));
  if (missing.length > 0) {
    report(source, ["spec", "placements"], `does not place shard ${missing.slice(0, 10).join(", ")}`);
  }
}

function cronProblem(text: string): string | undefined {
  try {
    const next = new Cron(text, { paused: true, timezone: "UTC", mode: "5-or-6-parts" }).nextRun(new Date(0));
    return next === null ? `found ${JSON.stringify(text)}, which never comes` : undefined;
  } catch (error) {
    const reason = error instanceof Error ? error.message.replace(/^CronPattern: /, "") : String(error);
    return `found ${JSON.stringify(text)}; allowed: a cron expression of five or six fields (${reason})`;
  }
}
