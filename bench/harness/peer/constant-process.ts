/** Fastify as it comes, serving constant bytes: the least that an HTTP answer costs with the server that the gateway uses. */
import Fastify from "fastify";
import { printReady } from "../../../src/process/ready-line.ts";

const body = Buffer.alloc(Number(process.argv[2]), "x");
const server = Fastify({ logger: false });
server.post("/v1/snapshots/:snapshot/:service/:method", (_request, reply) =>
  reply.header("content-type", "application/json; charset=utf-8").send(body),
);
server.get("/healthz", () => ({ status: "alive" }));
const address = await server.listen({ host: "127.0.0.1", port: 0 });
printReady({ http: new URL(address).host });
