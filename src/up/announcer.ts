import type { Action } from "../lifecycle/action.ts";
import { meshFacts } from "../lifecycle/mesh-facts.ts";
import type { MeshPlan } from "../lifecycle/mesh-plan.ts";
import type { ObservedMesh } from "../lifecycle/observed-mesh.ts";
import { placedManifest } from "../lifecycle/placement.ts";
import { isReady } from "../lifecycle/route-tuple.ts";
import type { Manifest } from "../manifest/manifest.ts";
import { GATEWAY, serviceChildName } from "./child/child-specs.ts";
import type { MeshChildren } from "./child/mesh-children.ts";
import type { ControlStore } from "./control/control-store.ts";
import type { ActionFailure } from "./drive/action-runner.ts";
import type { BindDeaths } from "./drive/bind-deaths.ts";
import { type Endpoints, removeEndpoints, writeEndpoints } from "./endpoints-file.ts";

/** Snapshots of the manifest that the mesh is announced without. */
export interface UnservedSnapshots {
  /** Their time is not in the log yet, which may take for ever. */
  readonly waiting: readonly string[];
  /** By snapshot, why its service cannot be loaded; that stays so until a person mends it. */
  readonly failed: ReadonlyMap<string, string>;
}

export interface AnnouncerParts {
  readonly config: {
    readonly manifest: Manifest;
    readonly onServing: (endpoints: Endpoints, unserved: UnservedSnapshots) => void;
  };
  readonly store: ControlStore;
  readonly children: MeshChildren;
  readonly deaths: Pick<BindDeaths, "reasons" | "isLeftAlone">;
  readonly controlAddress: string;
  readonly file: string;
}

/** While any of these is to be done, routes lead to where something was, and not all of them to where it is. */
const ROUTING: ReadonlySet<Action["kind"]> = new Set(["bind", "verify", "publish", "apply"]);

/** Phases that a service which cannot be loaded keeps a snapshot in. */
const MAY_FAIL: ReadonlySet<MeshPlan["phases"][number]["phase"]> = new Set(["Binding", "Verifying", "Serving"]);

/** Tells where the mesh is: other commands by a file, the user once all that the manifest wants is served. */
export class Announcer {
  readonly #parts: AnnouncerParts;
  #written: string | undefined;
  #served = false;
  #closed = false;

  constructor(parts: AnnouncerParts) {
    this.#parts = parts;
    this.addresses();
  }

  /** Writes the endpoints when the gateway has (new) ones; a mesh that is still loading can be found too. */
  addresses(): Endpoints | undefined {
    const { children, controlAddress, file } = this.#parts;
    const gateway = children.state(GATEWAY);
    if (this.#closed || gateway?.kind !== "ready") return undefined;
    const { http = "", grpc = "" } = gateway.addresses;
    const endpoints = { http, grpc, control: controlAddress };
    const text = JSON.stringify(endpoints);
    if (text !== this.#written) writeEndpoints(file, endpoints);
    this.#written = text;
    return endpoints;
  }

  /**
   * Serving means: each snapshot of the manifest is in the table that the gateway has, and bound on every shard; or
   * nobody can say when it will be.
   */
  served(plan: MeshPlan, observed: ObservedMesh, failures: readonly ActionFailure[]): void {
    const endpoints = this.addresses();
    if (this.#served || endpoints === undefined) return;
    const waiting = failures.flatMap(({ snapshot, fault }) =>
      snapshot !== undefined && fault.id === "cut-not-reached" ? [snapshot] : [],
    );
    const failed = this.#failed(observed);
    const { fromManifest } = this.#parts.store.state;
    const wanted = plan.phases.filter(({ snapshot }) => Object.hasOwn(fromManifest, snapshot));
    const isSettled = ({ snapshot, phase }: MeshPlan["phases"][number]) =>
      phase === "Retiring" ||
      (phase === "Cutting" && waiting.includes(snapshot)) ||
      (MAY_FAIL.has(phase) && failed.has(snapshot)) ||
      (phase === "Serving" && this.#isBound(observed, snapshot));
    const { table, gateways } = observed;
    const isApplied = table === undefined || gateways.every(({ status }) => status?.epoch === table.epoch);
    // What fails on one node may still be tried on another, and take its process along with it.
    const isRouting = (action: Action) =>
      ROUTING.has(action.kind) && !(action.kind === "bind" && this.#parts.deaths.isLeftAlone(action));
    if (!isApplied || plan.actions.some(isRouting) || !wanted.every(isSettled)) return;
    this.#served = true;
    this.#parts.config.onServing(endpoints, { waiting, failed });
  }

  #failed(observed: ObservedMesh): ReadonlyMap<string, string> {
    const { config, children } = this.#parts;
    const reasonOf = (version: string) => {
      for (const { name } of config.manifest.mesh.nodes) {
        const state = children.state(serviceChildName(name, version));
        if (state?.kind === "down" && state.isMisconfigured) return `${version} on ${name}: ${state.reason}`;
      }
      return undefined;
    };
    return new Map([
      ...this.#parts.deaths.reasons(),
      ...observed.snapshots.flatMap(({ id, bindings }) => {
        const reason = bindings.map(({ version }) => reasonOf(version)).find((text) => text !== undefined);
        return reason === undefined ? [] : [[id, reason] as const];
      }),
    ]);
  }

  /** After a restart the table is there before the services have their snapshots again. */
  #isBound(observed: ObservedMesh, snapshot: string): boolean {
    const facts = meshFacts(placedManifest(this.#parts.config.manifest, observed.placements), observed);
    const record = facts.record(snapshot);
    return record?.bindings.every(({ version }) => isReady(facts, record, version)) === true;
  }

  close(): void {
    this.#closed = true;
    removeEndpoints(this.#parts.file);
  }
}
