import { once } from "node:events";
import type { Writable } from "node:stream";
import type { JsonValue } from "@bufbuild/protobuf";
import { Fault } from "../../fault/fault.ts";
import type { Clock } from "../../process/clock.ts";

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
  options: { readonly clock: Clock; readonly stalledMs: number; readonly signal: AbortSignal },
): Promise<void> {
  let chunk = "";
  const flush = async () => {
    const full = !out.write(chunk);
    chunk = "";
    if (full) await drained(out, options);
  };
  for await (const line of lines) {
    chunk += `${JSON.stringify(line)}\n`;
    if (chunk.length >= CHUNK_BYTES) await flush();
  }
  chunk += `${JSON.stringify(last())}\n`;
  await flush();
}

async function drained(
  out: Writable,
  { clock, stalledMs, signal }: { readonly clock: Clock; readonly stalledMs: number; readonly signal: AbortSignal },
): Promise<void> {
  const stalled = new AbortController();
  const stop = clock.after(stalledMs, () => {
    stalled.abort(new Fault("cancelled", `the reader took nothing for ${stalledMs} ms`));
  });
  try {
    await once(out, "drain", { signal: AbortSignal.any([signal, stalled.signal]) });
  } catch (error) {
    throw stalled.signal.reason ?? signal.reason ?? error;
  } finally {
    stop();
  }
}
