import {
  type ChildState,
  type SupervisedChild,
  type SupervisorOptions,
  superviseChild,
} from "../process/supervisor.ts";
import {
  type ChildPlan,
  GATEWAY,
  gatewaySpec,
  nodeSpec,
  type ServiceProcess,
  serviceChildName,
  serviceSpec,
  shardsOf,
} from "./child-specs.ts";

/** The running processes of an embedded mesh, by name. */
export class MeshChildren {
  readonly #plan: ChildPlan;
  readonly #options: SupervisorOptions;
  readonly #children = new Map<string, SupervisedChild>();

  constructor(plan: ChildPlan, options: SupervisorOptions) {
    this.#plan = plan;
    this.#options = options;
  }

  startGateway(): void {
    this.#children.set(GATEWAY, superviseChild(gatewaySpec(this.#plan), this.#options));
  }

  /** One agent for each node that holds a shard. */
  startNodes(): void {
    for (const { name } of this.#plan.manifest.mesh.nodes) {
      if (shardsOf(this.#plan.manifest, name).length === 0) continue;
      this.#children.set(name, superviseChild(nodeSpec(this.#plan, name), this.#options));
    }
  }

  /** Starts the services that are missing and stops those that nobody needs any more. */
  keepServices(needed: readonly ServiceProcess[]): void {
    const wanted = new Map(needed.map((process) => [serviceChildName(process.node, process.version.name), process]));
    for (const [name, { node, version }] of wanted) {
      if (!this.#children.has(name)) {
        this.#children.set(name, superviseChild(serviceSpec(this.#plan, node, version), this.#options));
      }
    }
    for (const [name, child] of this.#children) {
      if (!name.includes("/") || wanted.has(name)) continue;
      this.#children.delete(name);
      void child.stop();
    }
  }

  /** `undefined`: no such child. */
  state(name: string): ChildState | undefined {
    return this.#children.get(name)?.state();
  }

  /** First those who ask, then those who answer: gateway, services, nodes. */
  async stop(): Promise<void> {
    const all = [...this.#children.values()];
    const gateways = all.filter((child) => child.name === GATEWAY);
    const services = all.filter((child) => child.name.includes("/"));
    const nodes = all.filter((child) => !gateways.includes(child) && !services.includes(child));
    for (const group of [gateways, services, nodes]) await Promise.all(group.map((child) => child.stop()));
    this.#children.clear();
  }
}
