import { connect, type Socket } from "node:net";

export interface HttpReply {
  readonly status: number;
  /** The header lines, as they came. */
  readonly head: string;
  readonly body: Buffer;
}

const HEAD_END = "\r\n\r\n";
const EMPTY = Buffer.alloc(0);

/**
 * One HTTP/1.1 connection, one request at a time, no more than a load generator needs: it must cost far less than what it
 * measures. Replies must have a Content-Length.
 */
export class HttpConnection {
  readonly #socket: Socket;
  #received: Buffer = EMPTY;
  #waiting: { resolve(reply: HttpReply): void; reject(error: Error): void } | undefined;
  #error: Error | undefined;

  constructor(host: string, port: number) {
    this.#socket = connect({ host, port, noDelay: true });
    this.#socket.on("data", (chunk) => this.#take(chunk));
    this.#socket.on("error", (error) => this.#end(error));
    this.#socket.on("close", () => this.#end(new Error("the connection was closed")));
  }

  get isOpen(): boolean {
    return this.#error === undefined;
  }

  /** Sends a whole request, head and body. Rejects when the connection breaks. */
  send(request: string): Promise<HttpReply> {
    return new Promise((resolve, reject) => {
      if (this.#error !== undefined) return reject(this.#error);
      this.#waiting = { resolve, reject };
      this.#socket.write(request, "latin1");
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    const headEnd = this.#received.indexOf(HEAD_END);
    if (headEnd < 0) return;
    const head = this.#received.toString("latin1", 0, headEnd);
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
    if (length === undefined) {
      this.#end(new Error(`a reply without Content-Length: ${head}`));
      return;
    }
    const end = headEnd + HEAD_END.length + Number(length);
    if (this.#received.length < end) return;
    const body = this.#received.subarray(headEnd + HEAD_END.length, end);
    this.#received = this.#received.subarray(end);
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.resolve({ status: Number(head.slice(9, 12)), head, body });
  }

  #end(error: Error): void {
    this.#error ??= error;
    this.#socket.destroy();
    this.#waiting?.reject(this.#error);
    this.#waiting = undefined;
  }
}
