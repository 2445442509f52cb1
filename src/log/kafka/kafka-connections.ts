/**
 * Connections to the brokers of one cluster, each lent to one request at a time.
 *
 * A broker answers the requests of a connection in their order, so a fetch that waits for records would hold up all that
 * come after it on the same one. So who asks borrows a connection of its own: an idle one, or a new one; as many are open
 * as requests have been under way at once. One whose request was cut short, by a fault or because nobody waits for it any
 * more, is closed: an answer that comes late must meet nobody.
 *
 * Of the client only the `Connection` is used (framing, TLS, SASL) and its encoders. Its pool, its cached metadata and its
 * retries are not: a pool of theirs has one connection for each broker, metadata of five seconds ago do not know a topic
 * that was made anew, and every retry here belongs to the loop that knows what it is worth.
 */
import { Connection } from "@platformatic/kafka";
import { Fault } from "../../fault/fault.ts";
import type { Clock } from "../../process/clock.ts";
import { apisOf, type KafkaApis } from "./kafka-apis.ts";
import type { KafkaConfig } from "./kafka-config.ts";
import { faultOfClient } from "./kafka-fault.ts";

const CONNECT_MS = 5_000;
/** Above the longest that any request takes; each has a bound of its own below. */
const REQUEST_MS = 120_000;
/** What a broker may take beyond the time that a request asks it to wait. */
export const REQUEST_GRACE_MS = 15_000;
const IDLE_MAX = 64;

export interface Lent {
  readonly connection: Connection;
  readonly apis: KafkaApis;
}

export class KafkaConnections {
  readonly #config: KafkaConfig;
  readonly #clock: Clock;
  readonly #idle = new Map<string, Lent[]>();
  readonly #open = new Set<Connection>();
  readonly #closing = new AbortController();

  constructor(config: KafkaConfig, clock: Clock) {
    this.#config = config;
    this.#clock = clock;
  }

  get closed(): boolean {
    return this.#closing.signal.aborted;
  }

  /** How many are open, lent or idle. */
  get count(): number {
    return this.#open.size;
  }

  /**
   * Runs `ask` with a connection to `address` for itself. Rejects as a fault: `log-unavailable` when the broker cannot be
   * reached or does not answer within `ms`, `permission-denied`, `cancelled`.
   */
  async use<T>(
    address: string,
    request: { readonly attempted: string; readonly ms: number; readonly signal?: AbortSignal | undefined },
    ask: (lent: Lent) => Promise<T>,
  ): Promise<T> {
    const { attempted } = request;
    let lent: Lent | undefined;
    try {
      request.signal?.throwIfAborted();
      const taken = this.#idle.get(address)?.pop() ?? (await this.#connect(address, attempted));
      lent = taken;
      const answer = await this.#bounded(ask(taken), request);
      this.#giveBack(address, taken);
      return answer;
    } catch (error) {
      if (lent !== undefined) this.#drop(lent.connection);
      if (this.closed) throw new Fault("cancelled", `${attempted}: the log is closed`, {}, error);
      throw faultOfClient(error, attempted);
    }
  }

  /** The same with whichever of the brokers of the configuration answers first in their order. */
  async useAny<T>(
    request: { readonly attempted: string; readonly ms: number },
    ask: (lent: Lent) => Promise<T>,
  ): Promise<T> {
    let last: unknown;
    for (const address of this.#config.brokers) {
      try {
        return await this.use(address, request, ask);
      } catch (error) {
        if (!(error instanceof Fault) || error.id !== "log-unavailable") throw error;
        last = error;
      }
    }
    throw last;
  }

  close(): void {
    this.#closing.abort();
    for (const connection of this.#open) this.#drop(connection);
    this.#idle.clear();
  }

  async #connect(address: string, attempted: string): Promise<Lent> {
    if (this.closed) throw new Fault("cancelled", `${attempted}: the log is closed`);
    const colon = address.lastIndexOf(":");
    const [host, port] = [address.slice(0, colon).replace(/^\[|\]$/g, ""), Number(address.slice(colon + 1))];
    const { tls, sasl } = this.#config;
    const connection = new Connection("skynetes", {
      connectTimeout: CONNECT_MS,
      requestTimeout: REQUEST_MS,
      ...(tls === undefined ? {} : { tls: { minVersion: "TLSv1.2", servername: host, ...definedOf(tls) } }),
      ...(sasl === undefined ? {} : { sasl }),
    });
    this.#open.add(connection);
    // Without a listener an error event would end the process, and one may come at any time.
    connection.on("error", () => this.#drop(connection));
    connection.on("close", () => this.#drop(connection));
    try {
      await connection.connect(host, port);
      return { connection, apis: await this.#bounded(apisOf(connection, address), { ms: CONNECT_MS }) };
    } catch (error) {
      this.#drop(connection);
      throw error;
    }
  }

  #giveBack(address: string, lent: Lent): void {
    if (!lent.connection.isConnected() || !this.#open.has(lent.connection)) return;
    const idle = this.#idle.get(address) ?? [];
    this.#idle.set(address, idle);
    if (idle.length < IDLE_MAX) idle.push(lent);
    else this.#drop(lent.connection);
  }

  #drop(connection: Connection): void {
    if (!this.#open.delete(connection)) return;
    for (const [address, idle] of this.#idle) {
      const left = idle.filter((lent) => lent.connection !== connection);
      if (left.length < idle.length) this.#idle.set(address, left);
    }
    // The client only ends its side after a failed connection; a broker that is gone would never end the other.
    connection.socket?.destroy();
  }

  #bounded<T>(
    work: Promise<T>,
    request: { readonly ms: number; readonly signal?: AbortSignal | undefined },
  ): Promise<T> {
    const signals = [this.#closing.signal, ...(request.signal === undefined ? [] : [request.signal])];
    return new Promise((resolve, reject) => {
      const end = () => {
        cancel();
        for (const signal of signals) signal.removeEventListener("abort", aborted);
      };
      const fail = (error: unknown) => {
        end();
        reject(error);
      };
      const aborted = () => fail(signals.find((signal) => signal.aborted)?.reason);
      const cancel = this.#clock.after(request.ms, () =>
        fail(new Fault("log-unavailable", `wait for a broker of Kafka: no answer within ${request.ms} ms`)),
      );
      for (const signal of signals) signal.addEventListener("abort", aborted);
      if (signals.some((signal) => signal.aborted)) aborted();
      work.then((value) => {
        end();
        resolve(value);
      }, fail);
    });
  }
}

function definedOf<T extends object>(options: T): Partial<T> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Partial<T>;
}
