import type { DescService } from "@bufbuild/protobuf";
import { BindingService } from "../../wire/generated/skynetes/v1/binding_pb.ts";
import { GatewayAdminService } from "../../wire/generated/skynetes/v1/gateway_admin_pb.ts";
import { NodeAgentService } from "../../wire/generated/skynetes/v1/node_agent_pb.ts";
import { type UnaryClient, unaryClient } from "../../wire/grpc-service.ts";

/** One channel per address and service: children come back on their old addresses, so channels outlive them. */
export class ControlClients {
  readonly #clients = new Map<string, { close(): void }>();

  node(address: string): UnaryClient<typeof NodeAgentService> {
    return this.#client(NodeAgentService, address);
  }

  service(address: string): UnaryClient<typeof BindingService> {
    return this.#client(BindingService, address);
  }

  gateway(address: string): UnaryClient<typeof GatewayAdminService> {
    return this.#client(GatewayAdminService, address);
  }

  /** Closes the channels to addresses that are not used any more, so that their number stays that of the children. */
  keepOnly(addresses: ReadonlySet<string>): void {
    for (const [key, client] of this.#clients) {
      if (addresses.has(key.slice(key.indexOf(" ") + 1))) continue;
      client.close();
      this.#clients.delete(key);
    }
  }

  close(): void {
    this.keepOnly(new Set());
  }

  #client<S extends DescService>(service: S, address: string): UnaryClient<S> {
    const key = `${service.typeName} ${address}`;
    let client = this.#clients.get(key) as UnaryClient<S> | undefined;
    if (client === undefined) {
      client = unaryClient(service, address);
      this.#clients.set(key, client);
    }
    return client;
  }
}
