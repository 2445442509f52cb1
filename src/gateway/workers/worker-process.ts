/** One run of a worker's process, as the primary sees it. */
import { type ChildProcess, fork } from "node:child_process";
import type { Socket } from "node:net";
import type { Clock } from "../../process/clock.ts";
import { type Answers, MessageLink } from "../../process/message-link.ts";
import { SUPERVISED_VARIABLE } from "../../process/run-until-signal.ts";
import type { Door } from "./shared-port.ts";
import { WORKER_VARIABLE } from "./worker-variable.ts";
import type { ConnectionNewsWords, ConnectionWords } from "./worker-words.ts";

export interface WorkerCommand {
  readonly script: string;
  readonly argv: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
}

export class WorkerProcess {
  readonly name: string;
  readonly link: MessageLink;
  readonly pid: number | undefined;
  /** Why it ended. */
  readonly ended: Promise<string>;
  /** It has the table that the gateway has, and can take connections. */
  isListening = false;
  readonly #process: ChildProcess;
  readonly #onTheirWay = new Map<number, Socket>();
  #lastConnection = 0;
  readonly #connections: Record<Door, number> = { http: 0, grpc: 0 };

  constructor(name: string, command: WorkerCommand, clock: Clock, answers: Answers) {
    this.name = name;
    const child = fork(command.script, [...command.argv], {
      serialization: "advanced",
      env: { ...command.environment, [SUPERVISED_VARIABLE]: "1", [WORKER_VARIABLE]: name },
      // Its stdin is a pipe that only this process holds, so that it ends with it; ready lines are told by this one.
      stdio: ["pipe", "ignore", "inherit", "ipc"],
    });
    this.#process = child;
    this.pid = child.pid;
    // A pipe or a channel to a worker that has just died; its end is told by `ended`.
    child.stdin?.on("error", () => {});
    child.on("error", () => {});
    child.on("message", (message: Partial<ConnectionNewsWords>) => this.#hear(message as ConnectionNewsWords));
    const port = {
      send: (message: unknown) => void child.send(message as never, () => {}),
      onMessage: (receive: (message: unknown) => void) => void child.on("message", receive),
    };
    this.link = new MessageLink(port, clock, name, answers);
    this.ended = new Promise((resolve) => {
      child.once("exit", (code, signal) => {
        this.isListening = false;
        // It died with connections on their way to it: their clients must not wait for ever.
        for (const socket of this.#onTheirWay.values()) socket.destroy();
        const why = signal === null ? `exit code ${code}` : `killed by ${signal}`;
        this.link.close(`it has ended, ${why}`);
        resolve(why);
      });
    });
  }

  connections(door: Door): number {
    return this.#connections[door];
  }

  /** It has the connection from now on, to its end. */
  hand(door: Door, socket: Socket): void {
    this.#connections[door]++;
    const id = ++this.#lastConnection;
    this.#onTheirWay.set(id, socket);
    const words: ConnectionWords = { kind: "connection", id, door };
    this.#process.send(words, socket, { keepOpen: true }, () => {});
  }

  #hear({ kind, id, door }: ConnectionNewsWords): void {
    if (kind === "connection taken") {
      // Closes it here alone.
      this.#onTheirWay.get(id)?.destroy();
      this.#onTheirWay.delete(id);
    }
    if (kind === "connection ended") this.#connections[door]--;
  }

  kill(signal: "SIGTERM" | "SIGKILL"): void {
    this.#process.kill(signal);
  }
}
