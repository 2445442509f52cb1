import {
  type ChildSpec,
  type ChildState,
  type SupervisedChild,
  type SupervisorOptions,
  superviseChild,
} from "../../process/supervisor.ts";
import type { ChildAddressFile } from "./child-addresses.ts";
import {
  type ChildPlan,
  GATEWAY,
  gatewaySpec,
  nodeSpec,
  type ServiceProcess,
  serviceChildName,
  serviceSpec,
} from "./child-specs.ts";

/** The running processes of an embedded mesh, by name. */
export class MeshChildren {
  readonly #plan: ChildPlan;
  readonly #options: SupervisorOptions;
  readonly #addresses: ChildAddressFile;
  readonly #children = new Map<string, SupervisedChild>();

  constructor(plan: ChildPlan, addresses: ChildAddressFile, options: SupervisorOptions) {
    this.#plan = plan;
    this.#addresses = addresses;
    this.#options = options;
  }

  startGateway(): void {
    this.#start(gatewaySpec(this.#plan));
  }

  /** Starts the node agents that are missing and stops those of nodes that hold no shard any more. */
  keepNodes(needed: readonly string[]): void {
    for (const name of needed) if (!this.#children.has(name)) this.#start(nodeSpec(this.#plan, name));
    for (const [name, child] of this.#children) {
      if (name === GATEWAY || name.includes("/") || needed.includes(name)) continue;
      this.#children.delete(name);
      this.#addresses.forget(name);
      void child.stop();
    }
  }

  /** Starts the services that are missing and stops those that nobody needs any more. */
  keepServices(needed: readonly ServiceProcess[]): void {
    const wanted = new Map(needed.map((process) => [serviceChildName(process.node, process.version.name), process]));
    for (const [name, { node, version }] of wanted) {
      if (!this.#children.has(name)) this.#start(serviceSpec(this.#plan, node, version));
    }
    for (const [name, child] of this.#children) {
      if (!name.includes("/") || wanted.has(name)) continue;
      this.#children.delete(name);
      this.#addresses.forget(name);
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

  #start(spec: ChildSpec): void {
    const { name } = spec;
    const onChange = () => {
      const state = this.#children.get(name)?.state();
      if (state?.kind === "ready") this.#addresses.keep(name, state.addresses);
      this.#options.onChange();
    };
    this.#children.set(
      name,
      superviseChild({ ...spec, last: this.#addresses.of(name) }, { ...this.#options, onChange }),
    );
  }
}
