import type { Writable } from "node:stream";
import type { JsonValue } from "@bufbuild/protobuf";
import { drained, type ReaderPace } from "./reader-pace.ts";

export const NDJSON_TYPE = "application/x-ndjson; charset=utf-8";

/** Rows are gathered into writes of about this size: a write for each row costs more than the row. */
const CHUNK_BYTES = 16 * 1024;

/**
 * Writes one JSON object a line and closes with `last`, at the reader's pace: no more is asked of the shards while the
 * socket is full, and a reader that takes nothing for `stalledMs` is given up.
 *
 * A body that does not end with a `$end` or `$error` line was cut off on its way.
 */
export async function writeLines(
  out: Writable,
  lines: AsyncIterable<JsonValue>,
  last: () => JsonValue,
  pace: ReaderPace,
): Promise<void> {
  let chunk = "";
  const flush = async () => {
    const full = !out.write(chunk);
    chunk = "";
    if (full) await drained(out, pace);
  };
  for await (const line of lines) {
    chunk += `${JSON.stringify(line)}\n`;
    if (chunk.length >= CHUNK_BYTES) await flush();
  }
  chunk += `${JSON.stringify(last())}\n`;
  await flush();
}
