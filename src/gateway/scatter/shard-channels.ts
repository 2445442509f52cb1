import { type ChannelOptions, Client, credentials } from "@grpc/grpc-js";

/** Queries outlive their table by their deadline at most, so older removals matter no more. */
const REMOVED_MAX = 1_000;

const CHANNEL: ChannelOptions = {
  // A service process that restarts is found again at once; grpc-js would wait up to two minutes.
  "grpc.initial_reconnect_backoff_ms": 50,
  "grpc.min_reconnect_backoff_ms": 50,
  "grpc.max_reconnect_backoff_ms": 500,
  // Retries are the scatter step's, which knows the stamp and the deadline.
  "grpc.enable_retries": 0,
  "grpc.service_config_disable_resolution": 1,
};

interface Connection {
  readonly client: Client;
  inFlight: number;
  unwanted: boolean;
}

/** One HTTP/2 connection for each address, made when it is used first. */
export class ShardChannels {
  readonly #options: ChannelOptions;
  readonly #connections = new Map<string, Connection>();
  #kept: ReadonlySet<string> = new Set();
  /** Addresses that were kept once, newest last. Others are new: a table that names them is about to be applied. */
  readonly #removed = new Set<string>();

  constructor(options: ChannelOptions) {
    this.#options = { ...CHANNEL, ...options };
  }

  /** The connection counts as used until what `use` returns has settled. */
  async use<T>(address: string, use: (client: Client) => Promise<T>): Promise<T> {
    let connection = this.#connections.get(address);
    if (connection === undefined) {
      const client = new Client(address, credentials.createInsecure(), this.#options);
      // A query may be pinned to a table that still had the address: its connection ends with it.
      connection = { client, inFlight: 0, unwanted: this.#removed.has(address) };
      this.#connections.set(address, connection);
    }
    connection.inFlight++;
    try {
      return await use(connection.client);
    } finally {
      connection.inFlight--;
      this.#closeWhenIdle(address, connection);
    }
  }

  /** Connections to other addresses are closed when nobody uses them any more. */
  keep(addresses: ReadonlySet<string>): void {
    for (const address of this.#kept) if (!addresses.has(address)) this.#removed.add(address);
    for (const address of addresses) this.#removed.delete(address);
    for (const address of this.#removed) {
      if (this.#removed.size <= REMOVED_MAX) break;
      this.#removed.delete(address);
    }
    this.#kept = addresses;
    for (const [address, connection] of this.#connections) {
      connection.unwanted = !addresses.has(address);
      this.#closeWhenIdle(address, connection);
    }
  }

  /** It was kept once and is no more. */
  isRemoved(address: string): boolean {
    return this.#removed.has(address);
  }

  /** Whoever uses the connection keeps it; the next one gets another. */
  replace(address: string): void {
    const connection = this.#connections.get(address);
    if (connection === undefined) return;
    this.#connections.delete(address);
    connection.unwanted = true;
    this.#closeWhenIdle(address, connection);
  }

  close(): void {
    for (const connection of this.#connections.values()) connection.client.close();
    this.#connections.clear();
  }

  #closeWhenIdle(address: string, connection: Connection): void {
    if (!connection.unwanted || connection.inFlight > 0) return;
    connection.client.close();
    if (this.#connections.get(address) === connection) this.#connections.delete(address);
  }
}
