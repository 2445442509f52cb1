/**
 * Drives the mesh to what is wished:
 *
 *   observe ──▶ plan ──▶ start what may run ──▶ wait for an event or the poll ──▶ observe …
 *
 * Nothing is remembered of what was done: each round looks at what is, so a restart of anything, this process included,
 * is just another observation.
 */
import { faultFromUnknown } from "../fault/fault-from-unknown.ts";
import type { Action } from "../lifecycle/action.ts";
import type { MeshPlan } from "../lifecycle/mesh-plan.ts";
import type { ObservedMesh } from "../lifecycle/observed-mesh.ts";
import { placedManifest } from "../lifecycle/placement.ts";
import { planMesh } from "../lifecycle/plan-mesh.ts";
import { quarantineText } from "../lifecycle/quarantine.ts";
import { renderAction } from "../lifecycle/render-plan.ts";
import { nextDueMs } from "../lifecycle/schedule.ts";
import type { Manifest } from "../manifest/manifest.ts";
import { sleep } from "../process/clock.ts";
import type { LineLog } from "../process/log-line.ts";
import { step } from "../telemetry/step-channel.ts";
import { neededServices } from "./child/needed-services.ts";
import { type ActionFailure, ActionRunner } from "./drive/action-runner.ts";
import { BindTurns } from "./drive/bind-turns.ts";
import { type ActionParts, executeAction } from "./drive/execute-action.ts";
import { IngestNews } from "./drive/ingest-news.ts";
import { nodesHolding, observeMesh } from "./drive/observe-mesh.ts";

export interface DriverOptions {
  readonly parts: ActionParts;
  readonly report: LineLog;
  /** Before each round: the manifest with the placements as they are wished for now. */
  readonly onPlaced: (manifest: Manifest) => void;
  readonly onPlan: (plan: MeshPlan, observed: ObservedMesh, failures: readonly ActionFailure[]) => void;
}

/** Events wake the loop at once; the poll finds what makes no event: positions, drained queries, the schedule. */
const POLL_BUSY_MS = 200;
const POLL_IDLE_MS = 1_000;
/** Children and actions often end together: one look for all of them. */
const SETTLE_MS = 10;

export class MeshDriver {
  readonly #options: DriverOptions;
  readonly #binds: BindTurns;
  readonly #runner: ActionRunner;
  readonly #stop = new AbortController();
  #wake = new AbortController();
  #observed: ObservedMesh | undefined;
  #plan: MeshPlan | undefined;
  readonly #ingest = new IngestNews();
  #phases = new Map<string, string>();
  #loop: Promise<void> = Promise.resolve();

  constructor(options: DriverOptions) {
    this.#options = options;
    this.#binds = new BindTurns(options.parts.clock);
    this.#runner = new ActionRunner({
      clock: options.parts.clock,
      execute: (action, signal) => {
        const execute = () => step("up", action.kind, {}, () => executeAction(action, options.parts, signal));
        return action.kind === "bind" ? this.#binds.run(signal, execute) : execute();
      },
      onFailure: ({ fault, text }) => options.report.line("warn", `${text}: ${fault.message}`),
      onEnded: () => this.wake(),
    });
  }

  start(): void {
    this.#loop = this.#drive();
  }

  /** Something has changed: look now. */
  wake(): void {
    this.#wake.abort();
  }

  /** The plan of the last round. */
  get plan(): MeshPlan | undefined {
    return this.#plan;
  }

  failures(): readonly ActionFailure[] {
    return this.#runner.failures();
  }

  async stop(): Promise<void> {
    this.#stop.abort(new DOMException("the mesh stops", "AbortError"));
    this.wake();
    await this.#runner.stop();
    await this.#loop;
  }

  async #drive(): Promise<void> {
    const { clock } = this.#options.parts;
    while (!this.#stop.signal.aborted) {
      this.#wake = new AbortController();
      let quiet = false;
      try {
        quiet = await this.#round();
      } catch (error) {
        this.#options.report.line("error", faultFromUnknown(error, "look at the mesh").message);
      }
      const woken = AbortSignal.any([this.#wake.signal, this.#stop.signal]);
      await sleep(clock, Math.min(quiet ? POLL_IDLE_MS : POLL_BUSY_MS, this.#untilDueMs()), woken).catch(() => {});
      if (this.#wake.signal.aborted) await sleep(clock, SETTLE_MS, this.#stop.signal).catch(() => {});
    }
  }

  /** A snapshot of the schedule is cut at its moment, not at the next poll. */
  #untilDueMs(): number {
    const { manifest, clock } = this.#options.parts;
    const { schedule } = manifest.mesh;
    const now = clock.now();
    // Timers may end a fraction of a millisecond early.
    return schedule === undefined ? Number.POSITIVE_INFINITY : nextDueMs(schedule.cron, now) - now + 1;
  }

  /** True when there is nothing to do. */
  async #round(): Promise<boolean> {
    const { parts, onPlan } = this.#options;
    const { store, children } = parts;
    const manifest = placedManifest(parts.manifest, store.state.placements);
    this.#options.onPlaced(manifest);
    children.keepNodes(nodesHolding(store.state));
    const services = neededServices(manifest, store.state, store.published.table, this.#observed);
    children.keepServices(services);
    // Before anything is looked at: what ends meanwhile may be in one part of what is seen and not yet in another.
    const underWay = this.#runner.underWay();
    const seals = await parts.seals.list(store.published.table);
    const observed = await observeMesh(parts, services, seals, underWay);
    this.#observed = observed;
    if (this.#stop.signal.aborted) return true;
    // What was asked of the mesh and what it is planned by are of one moment.
    const plan = planMesh(placedManifest(parts.manifest, observed.placements), observed);
    this.#plan = plan;
    const admitted = this.#admit(plan.actions);
    this.#tellPhases(plan);
    this.#tellQuarantined(plan.actions);
    this.#runner.start(admitted);
    for (const news of this.#ingest.of(observed.nodes)) this.#options.report.line("warn", news);
    onPlan(plan, observed, this.#runner.failures());
    return admitted.length === 0 && !this.#runner.busy;
  }

  #admit(actions: readonly Action[]): readonly Action[] {
    const { memory, clock } = this.#options.parts;
    const failing = new Set(this.#runner.failures().map(({ text }) => text));
    const isFailing = (action: Action) => failing.has(renderAction(action));
    return memory.deaths.admit(actions, this.#runner.underWay(), clock.monotonic(), isFailing);
  }

  #tellQuarantined(actions: readonly Action[]): void {
    const { store, clock } = this.#options.parts;
    for (const action of actions) {
      if (action.kind !== "quarantine") continue;
      const { kind: _, ...found } = action;
      const known = store.state.quarantined.some((q) => q.shard === found.shard && q.node === found.node);
      if (!known)
        this.#options.report.line("error", quarantineText({ ...found, sinceMs: clock.now(), rebuilt: false }));
    }
  }

  #tellPhases(plan: MeshPlan): void {
    const phases = new Map<string, string>(plan.phases.map(({ snapshot, phase }) => [snapshot, phase]));
    for (const [snapshot, phase] of phases) {
      if (this.#phases.get(snapshot) !== phase)
        this.#options.report.line("info", `snapshot ${snapshot}: ${phase.toLowerCase()}`);
    }
    for (const snapshot of this.#phases.keys()) {
      if (!phases.has(snapshot)) this.#options.report.line("info", `snapshot ${snapshot}: retired`);
    }
    this.#phases = phases;
  }
}
