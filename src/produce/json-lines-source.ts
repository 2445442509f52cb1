import assert from "node:assert/strict";
import { createReadStream } from "node:fs";
import type { Fault } from "../fault/fault.ts";
import type { NewRecord } from "../log/log.ts";
import { badRow, type RowBatch, type RowChoice, type RowSource, rowProblem } from "./row-choice.ts";
import { parseTimestampMs } from "./timestamp-text.ts";

/** Longer than any record may be: a file without line ends is refused before it fills the memory. */
const LINE_BYTES_MAX = 17 * 1024 * 1024;
const READ_BYTES = 256 * 1024;
const LINE_FEED = 0x0a;
const EMPTY_HEADERS: NewRecord["headers"] = Object.freeze([]);

/**
 * JSON lines: each line that is not empty is one row, and the record's value is the line as it stands. Nothing is parsed
 * and written again, so numbers of any length and decimals keep every digit.
 */
export function openJsonLines(choice: RowChoice, limit: number | undefined): RowSource {
  return { batches: readLines(choice, limit ?? Number.POSITIVE_INFINITY) };
}

async function* readLines(choice: RowChoice, limit: number): AsyncGenerator<RowBatch> {
  const parser = lineParser(choice);
  let rest: Buffer = Buffer.alloc(0);
  let line = 0;
  let rows = 0;
  const stream = createReadStream(choice.file, { highWaterMark: READ_BYTES });
  for await (const read of withEnd(stream)) {
    const bytes = Buffer.concat([rest, read]);
    const records: NewRecord[] = [];
    let start = 0;
    try {
      for (;;) {
        const end = bytes.indexOf(LINE_FEED, start);
        if (end < 0 || rows >= limit) break;
        line++;
        const text = trimmed(bytes.subarray(start, end), line === 1);
        start = end + 1;
        if (text.length === 0) continue;
        records.push(parser(text, line));
        rows++;
      }
    } catch (error) {
      yield { records };
      throw error;
    }
    yield { records };
    if (rows >= limit) return;
    rest = bytes.subarray(start);
    if (rest.length > LINE_BYTES_MAX) throw badRow(choice.file, line + 1, `longer than ${LINE_BYTES_MAX} bytes`);
  }
}

/** The last line may lack its line feed. */
async function* withEnd(stream: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  yield* stream;
  yield Buffer.from("\n");
}

function trimmed(bytes: Buffer, isFirst: boolean): Buffer {
  let start = isFirst && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
  let end = bytes.length;
  while (start < end && bytes[start]! <= 0x20) start++;
  while (end > start && bytes[end - 1]! <= 0x20) end--;
  return bytes.subarray(start, end);
}

function lineParser(choice: RowChoice): (bytes: Buffer, line: number) => NewRecord {
  const utf8 = new TextDecoder("utf-8", { fatal: true });
  const { keyColumns, timestamp } = choice;
  return (bytes, line) => {
    const bad = (what: string) => badRow(choice.file, line, what);
    const row = parseRow(bytes, utf8, bad);
    const key = keyOf(row, keyColumns, bad);
    const timestampMs = timestamp.kind === "fixed" ? timestamp.timestampMs : timestampOf(row, timestamp.column, bad);
    const record = { timestampMs, key, value: bytes, headers: EMPTY_HEADERS };
    const problem = rowProblem(record);
    if (problem !== undefined) throw bad(problem);
    return record;
  };
}

type Bad = (what: string) => Fault;

interface Row {
  readonly text: string;
  readonly members: Readonly<Record<string, unknown>>;
}

function parseRow(bytes: Buffer, utf8: InstanceType<typeof TextDecoder>, bad: Bad): Row {
  let text: string;
  let members: unknown;
  try {
    text = utf8.decode(bytes);
  } catch {
    throw bad("not UTF-8");
  }
  try {
    members = JSON.parse(text);
  } catch (error) {
    throw bad(`not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (typeof members !== "object" || members === null || Array.isArray(members)) throw bad("not a JSON object");
  return { text, members: members as Record<string, unknown> };
}

function timestampOf(row: Row, column: string, bad: Bad): number {
  const stated = memberOf(row, column, bad);
  const timestampMs = typeof stated === "string" ? parseTimestampMs(stated) : undefined;
  if (timestampMs !== undefined) return timestampMs;
  throw bad(`timestamp column "${column}": ${JSON.stringify(stated).slice(0, 64)} is not an ISO 8601 timestamp`);
}

function keyOf(row: Row, columns: readonly string[], bad: Bad): Buffer | null {
  const [only, ...others] = columns;
  if (only === undefined) return null;
  if (others.length > 0) {
    return Buffer.from(`[${columns.map((column) => keyText(row, column, bad) ?? "null").join(",")}]`, "utf8");
  }
  const stated = memberOf(row, only, bad);
  const text = typeof stated === "string" ? stated : keyText(row, only, bad);
  return text === null ? null : Buffer.from(text, "utf8");
}

/** The member as JSON text; `null` for null. */
function keyText(row: Row, column: string, bad: Bad): string | null {
  const stated = memberOf(row, column, bad);
  if (stated === null) return null;
  if (typeof stated === "object") throw bad(`key column "${column}" is not a plain value`);
  if (typeof stated === "number" && !Number.isSafeInteger(stated)) return sourceOf(row, column);
  return JSON.stringify(stated);
}

/** Own members only, and one that is missing is a slip in a name more often than a null. */
function memberOf({ members }: Row, column: string, bad: Bad): unknown {
  if (!Object.hasOwn(members, column)) throw bad(`no column "${column}"`);
  return members[column];
}

/** A number as the line spells it: what does not fit a double keeps its digits. */
function sourceOf(row: Row, column: string): string {
  const sources = new Map<unknown, string>();
  // The reviver sees members of every depth by name; the one that belongs to the outermost object is meant.
  const root: unknown = JSON.parse(row.text, function (this: unknown, name, value, context?: { source?: string }) {
    if (name === column && context?.source !== undefined) sources.set(this, context.source);
    return value;
  });
  const source = sources.get(root);
  assert(source !== undefined, `the engine tells no source of "${column}"`);
  return source;
}
