import { Server, ServerCredentials } from "@grpc/grpc-js";
import { ArchiveProcess } from "../archive/archive-process.ts";
import { Fault } from "../fault/fault.ts";
import { makeDurableDirectory } from "../process/durable-file.ts";
import { NodeAgentService } from "../wire/generated/skynetes/v1/node_agent_pb.ts";
import { addUnaryService } from "../wire/grpc-service.ts";
import { DirectoryArchive } from "./archive/directory-archive.ts";
import { Node } from "./node.ts";
import type { NodeConfig } from "./node-config.ts";
import { observeIngest } from "./observe-ingest.ts";

/** Calls under way may end; a driver that was cut off asks again. */
const CLOSE_GRACE_MS = 2_000;

export interface RunningNode {
  /** host:port of its NodeAgentService. */
  readonly address: string;
  /** Stops ingest at a batch's end, lets calls under way end and closes the stores. */
  close(): Promise<void>;
}

/**
 * Starts a node agent: opens its shards' stores, serves `NodeAgentService` and ingests. Faults: `store-locked`,
 * `data-corrupt`, `invalid-manifest` (tables, topics and stores do not fit), `not-ready` (the port is taken).
 */
export async function startNode(config: NodeConfig): Promise<RunningNode> {
  await makeDurableDirectory(config.dataDirectory);
  const { clock, archiveDirectory: root, archive: limits = {} } = config;
  const directory = new ArchiveProcess({ root, clock, limits });
  const archive = new DirectoryArchive({
    files: directory.files,
    node: config.node,
    instance: config.randomness.id(),
    trouble: () => directory.trouble,
  });
  const node = await openedNode(config, archive, directory);
  const server = new Server();
  addUnaryService(server, NodeAgentService, node.handlers);
  try {
    const { host } = config.listen;
    const port = await listen(server, host, config.listen.port);
    node.start();
    if (config.telemetry !== undefined) observeIngest(config.telemetry, node.ingest);
    return {
      address: `${host}:${port}`,
      async close() {
        await shutdown(server, config);
        directory.close();
        await node.close();
      },
    };
  } catch (error) {
    directory.close();
    await node.close();
    throw error;
  }
}

async function openedNode(config: NodeConfig, archive: DirectoryArchive, directory: ArchiveProcess): Promise<Node> {
  try {
    return await Node.open(config, archive);
  } catch (error) {
    directory.close();
    throw error;
  }
}

function listen(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(`${host}:${port}`, ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(new Fault("not-ready", `listen on ${host}:${port}: ${error.message}`, {}, error));
    });
  });
}

function shutdown(server: Server, { clock }: NodeConfig): Promise<void> {
  return new Promise((resolve) => {
    const cancel = clock.after(CLOSE_GRACE_MS, () => {
      server.forceShutdown();
      resolve();
    });
    server.tryShutdown(() => {
      cancel();
      resolve();
    });
  });
}
