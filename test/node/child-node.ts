import { startNode } from "../../src/node/start-node.ts";
import { filledLog, nodeConfig } from "./small-mesh.ts";

// A node agent in a process of its own, over the small mesh's log; to be killed by its parent or at a crash point.
const [directory, events] = process.argv.slice(2);
const running = await startNode(
  nodeConfig(directory!, filledLog(Number(events)), {
    ingest: { batchRowsMax: 100, fetchBytes: 2_000, retryFirstMs: 5 },
  }),
);
console.log(JSON.stringify({ ready: { address: running.address } }));
