import { isUtf8 } from "node:buffer";
import { Fault } from "../fault/fault.ts";
import type { ReplayedRecord } from "./replay-rejects.ts";

/**
 * A reject as a line of JSON, for people to mend and to replay: bytes as text where they are UTF-8, else in base64.
 * What is not about the record itself (reason, time as text) is for reading alone.
 */
export function rejectLine(record: ReplayedRecord, reason: string): string {
  return JSON.stringify({
    topic: record.topic,
    partition: record.partition,
    offset: String(record.offset),
    reason,
    timestamp: new Date(record.timestampMs).toISOString(),
    ...bytesField("key", record.key),
    ...bytesField("value", record.value),
  });
}

function bytesField(name: string, bytes: Uint8Array | null): Record<string, string | null> {
  if (bytes === null) return { [name]: null };
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return isUtf8(buffer) ? { [name]: buffer.toString("utf8") } : { [`${name}Base64`]: buffer.toString("base64") };
}

/** Fault `bad-input-file` naming file and line. */
export function parseRejectLine(text: string, file: string, line: number): ReplayedRecord {
  const bad = (what: string) => new Fault("bad-input-file", `replay ${file}: line ${line}: ${what}`);
  let fields: Record<string, unknown>;
  try {
    fields = JSON.parse(text) as Record<string, unknown>;
  } catch (error) {
    throw bad(`not JSON: ${(error as Error).message}`);
  }
  if (typeof fields !== "object" || fields === null || Array.isArray(fields)) throw bad("not a JSON object");
  const { topic, partition, offset, timestamp } = fields;
  if (typeof topic !== "string" || topic === "") throw bad("topic is missing");
  if (!Number.isSafeInteger(partition) || (partition as number) < 0) throw bad("partition is no number from 0 on");
  if (typeof offset !== "string" || !/^\d{1,19}$/.test(offset)) throw bad("offset is no string of digits");
  const timestampMs = typeof timestamp === "string" ? Date.parse(timestamp) : Number.NaN;
  if (!(timestampMs >= 0)) throw bad("timestamp is no time from 1970 on");
  const bytes = (name: string) => bytesOf(fields, name, bad);
  return {
    topic,
    partition: partition as number,
    offset: BigInt(offset),
    timestampMs,
    key: bytes("key"),
    value: bytes("value"),
  };
}

function bytesOf(fields: Record<string, unknown>, name: string, bad: (what: string) => Fault): Uint8Array | null {
  const text = fields[name];
  const base64 = fields[`${name}Base64`];
  if ((text === undefined) === (base64 === undefined)) throw bad(`either ${name} or ${name}Base64 says what it is`);
  if (text === null) return null;
  if (typeof text === "string") return Buffer.from(text, "utf8");
  const isBase64 =
    typeof base64 === "string" && /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(base64);
  if (!isBase64) throw bad(text === undefined ? `${name}Base64 is no base64` : `${name} is neither text nor null`);
  return Buffer.from(base64, "base64");
}
