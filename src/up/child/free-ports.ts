import { createServer } from "node:net";
import { Fault } from "../../fault/fault.ts";

/**
 * Looks whether a port can be had, so that the user is told by name before anything starts. Port 0 always can.
 * Fault `port-in-use`.
 */
export async function checkPortFree(host: string, port: number, what: string, flag: string): Promise<void> {
  if (port === 0) return;
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const why = error.code === "EADDRINUSE" ? "another process listens there" : error.message;
      reject(new Fault("port-in-use", `listen for ${what} on ${host}:${port}: ${why}; choose another with ${flag}`));
    });
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve()));
  });
}
