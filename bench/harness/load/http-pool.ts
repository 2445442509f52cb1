import { HttpConnection, type HttpReply } from "./http-connection.ts";

/** Connections as they are needed: an open loop must never wait for one to be free. */
export class HttpPool {
  readonly #host: string;
  readonly #port: number;
  readonly #free: HttpConnection[] = [];
  readonly #all = new Set<HttpConnection>();

  constructor(address: string) {
    const colon = address.lastIndexOf(":");
    this.#host = address.slice(0, colon);
    this.#port = Number(address.slice(colon + 1));
  }

  async send(request: string): Promise<HttpReply> {
    const connection = this.#take();
    try {
      const reply = await connection.send(request);
      this.#free.push(connection);
      return reply;
    } catch (error) {
      this.#all.delete(connection);
      throw error;
    }
  }

  close(): void {
    for (const connection of this.#all) connection.close();
    this.#all.clear();
    this.#free.length = 0;
  }

  #take(): HttpConnection {
    for (let free = this.#free.pop(); free !== undefined; free = this.#free.pop()) {
      if (free.isOpen) return free;
      this.#all.delete(free);
    }
    const connection = new HttpConnection(this.#host, this.#port);
    this.#all.add(connection);
    return connection;
  }
}
