/** A worker: a gateway without an admin port, led by the primary. */
import type { Socket } from "node:net";
import { MessageLink, type MessagePort } from "../../process/message-link.ts";
import { DEFAULT_LIMITS, type GatewayConfig, type RunningGateway } from "../gateway-config.ts";
import { startGateway } from "../start-gateway.ts";
import type { GatewayPart, WholeGateway } from "../whole-gateway.ts";
import type { Door } from "./shared-port.ts";
import { workerLimits } from "./worker-limits.ts";
import {
  type ConnectionNewsWords,
  type ConnectionWords,
  queriesFromBytes,
  queriesToBytes,
  statusToWords,
  tableFromBytes,
  type VerifyWords,
} from "./worker-words.ts";

/** The primary asks all workers in its turn. */
const ASK_TIMEOUT_MS = 10_000;

/** One of `count`, each with its part of the limits. Resolves when it listens, with the table that the gateway has. */
export async function startWorker(config: GatewayConfig, count: number): Promise<RunningGateway> {
  const { adminPort: _primarys, ...listen } = config.listen;
  const made = Promise.withResolvers<GatewayPart>();
  const link = new MessageLink(toPrimary(), config.clock, "the gateway's primary", answersOf(made.promise));
  const running = await startGateway({
    ...config,
    listen,
    limits: workerLimits({ ...DEFAULT_LIMITS, ...config.limits }, count),
    partOf: {
      whole: wholeThrough(link),
      take: (doors) => takeConnections(doors),
      join: async (part) => {
        made.resolve(part);
        const table = await link.ask<Uint8Array | undefined>("table", undefined, ASK_TIMEOUT_MS);
        return table === undefined ? undefined : tableFromBytes(table);
      },
    },
  });
  await link.ask("listening", undefined, ASK_TIMEOUT_MS);
  return {
    ...running,
    close: async () => {
      await running.close();
      // The channel would keep the process alive.
      process.disconnect?.();
    },
  };
}

/** Connections come from the primary, each with a message that says at which door. */
function takeConnections(doors: Readonly<Record<Door, (socket: Socket) => void>>): void {
  process.on("message", ({ kind, id, door }: ConnectionWords, socket: Socket | undefined) => {
    if (kind !== "connection") return;
    const tell = (kind: ConnectionNewsWords["kind"]) => send({ kind, id, door } satisfies ConnectionNewsWords);
    tell("connection taken");
    // A client may have gone on the way.
    if (socket === undefined) return tell("connection ended");
    socket.once("close", () => tell("connection ended"));
    doors[door](socket);
    socket.resume();
  });
}

function toPrimary(): MessagePort {
  return {
    send,
    onMessage: (receive) => void process.on("message", receive),
  };
}

/** A primary that has gone is no error here: stdin tells it too, and the worker ends. */
function send(message: unknown): void {
  process.send?.(message, undefined, undefined, () => {});
}

/** A primary that asks early is answered when there is something to ask. */
function answersOf(made: Promise<GatewayPart>) {
  const never = new AbortController().signal;
  return {
    prepare: async (table: Uint8Array) => (await made).prepare(tableFromBytes(table)),
    apply: async (table: Uint8Array) => (await made).apply(tableFromBytes(table)),
    verify: async ({ table, wanted }: VerifyWords) => (await made).verify(tableFromBytes(table), wanted, never),
    status: async () => statusToWords(await (await made).status()),
    queries: async () => queriesToBytes(await (await made).queries()),
    cancel: async (id: string) => (await made).cancel(id),
    ready: async () => (await made).ready(),
    metrics: async () => (await made).metrics(),
  };
}

function wholeThrough(link: MessageLink): WholeGateway {
  return {
    queries: async () => queriesFromBytes(await link.ask("queries", undefined, ASK_TIMEOUT_MS)),
    cancel: (id) => link.ask("cancel", id, ASK_TIMEOUT_MS),
    ready: () => link.ask("ready", undefined, ASK_TIMEOUT_MS),
    metrics: () => link.ask("metrics", undefined, ASK_TIMEOUT_MS),
  };
}
