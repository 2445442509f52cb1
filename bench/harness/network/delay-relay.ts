import { connect, createServer, type Server, type Socket } from "node:net";
import { numbersFrom } from "../service/drawn-groups.ts";
import { now, PreciseWake } from "./precise-wake.ts";

export interface LinkQuality {
  readonly roundTripMs: number;
  /** Share of segments that are lost. */
  readonly loss: number;
}

const SEGMENT_BYTES = 1448;

interface Waiting {
  readonly due: number;
  readonly chunk: Buffer;
}

/** One direction of one connection: what waits on the wire, in order. */
interface Wire {
  readonly to: Socket;
  readonly waiting: Waiting[];
  /** Nothing overtakes a segment that had to be sent again. */
  blockedUntil: number;
  ended: boolean;
}

/**
 * Connections with a round trip: bytes arrive half of it later, in order. A lost segment holds up itself and all behind it
 * on its connection for one round trip more, as a fast retransmission does; windows of TCP do not shrink, and there is no
 * limit of bandwidth.
 */
export class DelayRelay {
  #quality: LinkQuality = { roundTripMs: 0, loss: 0 };
  readonly #servers: Server[] = [];
  readonly #wires = new Set<Wire>();
  readonly #wake = new PreciseWake(() => this.#deliver());
  readonly #draw = numbersFrom(1, 0x1055);

  setQuality(quality: LinkQuality): void {
    this.#quality = quality;
  }

  /** Listens for connections to `port` of this machine; returns the port to use instead. */
  open(port: number): Promise<number> {
    const server = createServer({ noDelay: true, allowHalfOpen: true }, (near) => {
      const far = connect({ host: "127.0.0.1", port, noDelay: true, allowHalfOpen: true });
      this.#relay(near, far);
      this.#relay(far, near);
    });
    this.#servers.push(server);
    return new Promise((resolve) => {
      server.listen(0, "127.0.0.1", () => resolve((server.address() as { port: number }).port));
    });
  }

  /** Ends all connections. */
  close(): void {
    for (const server of this.#servers) server.close();
    for (const { to } of this.#wires) to.destroy();
    this.#wires.clear();
    this.#wake.close();
  }

  #relay(from: Socket, to: Socket): void {
    const wire: Wire = { to, waiting: [], blockedUntil: 0, ended: false };
    this.#wires.add(wire);
    from.on("data", (chunk) => this.#take(wire, chunk));
    from.on("end", () => {
      wire.ended = true;
      this.#wake.at(now());
    });
    from.on("error", () => to.destroy());
    from.on("close", () => {
      if (wire.ended) return;
      to.destroy();
      this.#wires.delete(wire);
    });
  }

  #take(wire: Wire, chunk: Buffer): void {
    const { roundTripMs, loss } = this.#quality;
    const arrives = now() + roundTripMs / 2;
    const whole = Math.max(1, Math.ceil(chunk.length / SEGMENT_BYTES));
    let from = 0;
    for (let segment = 1; loss > 0 && segment <= whole; segment++) {
      if (this.#draw() / 2 ** 32 >= loss) continue;
      // What came before it arrives in time.
      const lostAt = (segment - 1) * SEGMENT_BYTES;
      if (lostAt > from) this.#put(wire, arrives, chunk.subarray(from, lostAt));
      wire.blockedUntil = Math.max(wire.blockedUntil, arrives + roundTripMs);
      from = lostAt;
    }
    this.#put(wire, arrives, chunk.subarray(from));
  }

  #put(wire: Wire, arrives: number, chunk: Buffer): void {
    const due = Math.max(arrives, wire.blockedUntil);
    wire.waiting.push({ due, chunk });
    this.#wake.at(due);
  }

  #deliver(): void {
    const time = now();
    for (const wire of this.#wires) {
      let done = 0;
      for (const { due, chunk } of wire.waiting) {
        if (due > time) break;
        wire.to.write(chunk);
        done++;
      }
      wire.waiting.splice(0, done);
      const [next] = wire.waiting;
      if (next !== undefined) this.#wake.at(next.due);
      else if (wire.ended) {
        wire.to.end();
        this.#wires.delete(wire);
      }
    }
  }
}
