/**
 * Questions and answers between two processes that have a message channel, in both directions over one channel. An
 * answer is a value that structured clone carries, or a fault, which arrives as it was.
 */
import { Fault, type FaultDetail } from "../fault/fault.ts";
import type { FaultId } from "../fault/fault-catalog.ts";
import { faultFromUnknown } from "../fault/fault-from-unknown.ts";
import type { Clock } from "./clock.ts";

export interface MessagePort {
  send(message: unknown): void;
  onMessage(receive: (message: unknown) => void): void;
}

/** By name of the question. */
export type Answers = Readonly<Record<string, (body: never) => unknown>>;

type Message =
  | { readonly kind: "question"; readonly id: number; readonly name: string; readonly body: unknown }
  | { readonly kind: "answer"; readonly id: number; readonly value: unknown }
  | { readonly kind: "fault"; readonly id: number; readonly fault: FaultMessage };

interface FaultMessage {
  readonly id: FaultId;
  readonly message: string;
  readonly detail: FaultDetail;
}

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (fault: Fault) => void;
}

export class MessageLink {
  readonly #port: MessagePort;
  readonly #clock: Clock;
  readonly #peer: string;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;
  #closed: Fault | undefined;

  /** `peer` names the other side in faults. */
  constructor(port: MessagePort, clock: Clock, peer: string, answers: Answers) {
    this.#port = port;
    this.#clock = clock;
    this.#peer = peer;
    port.onMessage((message) => void this.#receive(message as Message, answers));
  }

  /** Faults: those of the other side; `not-ready` when it has gone, `deadline-exceeded` when it does not answer. */
  ask<T>(name: string, body: unknown, timeoutMs: number): Promise<T> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      const stopTimer = this.#clock.after(timeoutMs, () => {
        this.#waiting.delete(id);
        reject(new Fault("deadline-exceeded", `ask ${this.#peer} for ${name}: no answer within ${timeoutMs} ms`));
      });
      const settled = <V>(settle: (value: V) => void) => {
        return (value: V) => {
          stopTimer();
          this.#waiting.delete(id);
          settle(value);
        };
      };
      this.#waiting.set(id, { resolve: settled(resolve as (value: unknown) => void), reject: settled(reject) });
      this.#send({ kind: "question", id, name, body });
    });
  }

  /** The other side has gone: whoever waits for it is told. */
  close(why: string): void {
    this.#closed ??= new Fault("not-ready", `${this.#peer}: ${why}`, { retryAfterMs: 500 });
    for (const { reject } of [...this.#waiting.values()]) reject(this.#closed);
  }

  async #receive(message: Message, answers: Answers): Promise<void> {
    if (message.kind === "question") {
      const { id, name, body } = message;
      try {
        const answer = answers[name];
        if (answer === undefined) throw new Fault("internal", `answer ${name}: nothing is known of it`);
        this.#send({ kind: "answer", id, value: await answer(body as never) });
      } catch (error) {
        const fault = faultFromUnknown(error, `answer ${name}`);
        this.#send({ kind: "fault", id, fault: { id: fault.id, message: fault.message, detail: fault.detail } });
      }
      return;
    }
    // Other messages on the channel are not this link's.
    if (message.kind !== "answer" && message.kind !== "fault") return;
    const waiting = this.#waiting.get(message.id);
    if (message.kind === "answer") waiting?.resolve(message.value);
    else waiting?.reject(new Fault(message.fault.id, message.fault.message, message.fault.detail));
  }

  #send(message: Message): void {
    try {
      this.#port.send(message);
    } catch (error) {
      this.close((error as Error).message);
    }
  }
}
