/**
 * Writes numbered records for ever, flushing now and then, and tells the parent how many are durable: what it told must
 * survive its death at any moment.
 */
import { openEmbeddedLog } from "../../../src/log/embedded/embedded-log.ts";
import { openEmbeddedLogWriter } from "../../../src/log/embedded/embedded-log-writer.ts";

const directory = process.argv[2];
if (directory === undefined) throw new Error("usage: writing-child.ts <directory>");
const writer = await openEmbeddedLogWriter(directory, { segmentBytes: 40_000, batchBytes: 2000 });
await writer.createTopic("t", 1);
process.stdout.write("begun\n");
const log = openEmbeddedLog(directory);
let next = Number((await log.bounds("t", 0)).bound);
await log.close();
for (let round = 0; ; round++) {
  const records = Array.from({ length: 1 + (round % 37) }, (_, i) => ({
    timestampMs: next + i,
    key: null,
    value: Buffer.from(`${next + i}`.padStart(30, "x")),
    headers: [],
  }));
  next = Number(await writer.append("t", 0, records)) + records.length;
  if (round % 5 !== 4) continue;
  await writer.flush();
  process.stdout.write(`${next}\n`);
}
