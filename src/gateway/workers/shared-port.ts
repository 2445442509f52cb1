import { createServer, type Socket } from "node:net";

export type Door = "http" | "grpc";

/** Takes connections on a port for whoever shall have them. Nothing is read from them here. */
export async function sharePort(host: string, port: number, take: (socket: Socket) => void): Promise<SharedPort> {
  const server = createServer({ pauseOnConnect: true }, take);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, resolve);
  });
  const { port: bound } = server.address() as { port: number };
  return {
    address: `${host}:${bound}`,
    close: () => void server.close(),
  };
}

export interface SharedPort {
  /** host:port. */
  readonly address: string;
  /** Takes no more; connections that were handed on stay with those who have them. */
  close(): void;
}
