import { rm } from "node:fs/promises";
import { join } from "node:path";
import { openEmbeddedLog } from "../../../src/log/embedded/embedded-log.ts";
import { openEmbeddedLogWriter } from "../../../src/log/embedded/embedded-log-writer.ts";
import { logAcceptance } from "../../acceptance/log.suite.ts";
import { temporaryDirectories } from "./log-fixture.ts";

const makeDirectory = temporaryDirectories();

/** Small enough that a few hundred records roll segments and fill batches. */
const SMALL = { segmentBytes: 1500, batchBytes: 300 };

for (const [name, limits] of [
  ["the embedded log", {}],
  ["the embedded log with tiny segments", SMALL],
] as const) {
  logAcceptance(name, async () => {
    const directory = await makeDirectory();
    const log = openEmbeddedLog(directory);
    let writer = await openEmbeddedLogWriter(directory, limits);
    return {
      log,
      get writer() {
        return writer;
      },
      openReader: async () => openEmbeddedLog(directory),
      async recreateTopic(topic, partitions) {
        await writer.close();
        await rm(join(directory, topic), { recursive: true });
        writer = await openEmbeddedLogWriter(directory, limits);
        return writer.createTopic(topic, partitions);
      },
      async close() {
        await writer.close();
        await log.close();
      },
    };
  });
}
