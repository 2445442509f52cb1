import { compressionsAlgorithms, crc32c } from "@platformatic/kafka";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { committedRecords } from "../../../src/log/kafka/committed-records.ts";
import { encodeBatch } from "../../../src/log/kafka/encode-batch.ts";
import { BatchDamage } from "../../../src/log/kafka/record-batch.ts";
import type { LogRecord, NewRecord } from "../../../src/log/log.ts";
import { TIMESTAMP_MS_MAX } from "../../../src/log/record-limits.ts";

const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array));
const records = fc.array(
  fc.record<NewRecord>({
    timestampMs: fc.oneof(fc.integer({ min: 0, max: 2000 }), fc.integer({ min: 0, max: TIMESTAMP_MS_MAX })),
    key: fc.option(bytes),
    value: fc.option(bytes),
    headers: fc.array(fc.tuple(fc.string({ maxLength: 8, unit: "grapheme" }), bytes), { maxLength: 3 }),
  }),
  { minLength: 1, maxLength: 20 },
);
const NOBODY = { producerId: -1n, producerEpoch: -1, sequence: -1 };

/** The batch as a broker would keep it: its offset is outside of the checksum. */
function batchAt(offset: bigint, all: readonly NewRecord[], change: (batch: Buffer) => void = () => {}): Buffer {
  const batch = Buffer.from(encodeBatch(all, NOBODY));
  batch.writeBigInt64BE(offset, 0);
  change(batch);
  batch.writeUInt32BE(crc32c(batch.subarray(21)), 17);
  return batch;
}

const ofProducer = (producerId: bigint, attributes: number) => (batch: Buffer) => {
  batch.writeInt16BE(attributes, 21);
  batch.writeBigInt64BE(producerId, 43);
};
const plain = ({ timestampMs, key, value, headers }: NewRecord) => ({
  timestampMs,
  key: key === null ? null : Buffer.from(key).toString("hex"),
  value: value === null ? null : Buffer.from(value).toString("hex"),
  headers: headers.map(([name, header]) => [name, Buffer.from(header).toString("hex")]),
});
const textOf = (record: LogRecord) => Buffer.from(record.value!).toString();
const record = (value: string): NewRecord => ({ timestampMs: 7, key: null, value: Buffer.from(value), headers: [] });
const TRANSACTIONAL = 0x10;
const marker = (offset: bigint, producerId: bigint, type: 0 | 1) =>
  batchAt(offset, [{ ...record(""), key: Buffer.from([0, 0, 0, type]) }], ofProducer(producerId, TRANSACTIONAL | 0x20));

describe("record batches of Kafka", () => {
  test("come back as they were, from any offset on", () => {
    fc.assert(
      fc.property(records, fc.bigInt({ min: 0n, max: 2n ** 62n }), fc.nat(25), (all, base, skip) => {
        const { records: read, nextOffset } = committedRecords(batchAt(base, all), [], base + BigInt(skip));
        expect(read.map(plain)).toEqual(all.slice(skip).map(plain));
        expect(read.map(({ offset }) => offset)).toEqual(read.map((_, i) => base + BigInt(skip + i)));
        const end = base + BigInt(all.length);
        expect(nextOffset).toBe(base + BigInt(skip) > end ? base + BigInt(skip) : end);
      }),
    );
  });

  test("whose bytes have changed in any place are damaged, never other records", () => {
    fc.assert(
      fc.property(records, fc.nat(), fc.integer({ min: 1, max: 255 }), (all, place, flip) => {
        const batch = batchAt(5n, all);
        // From the magic on: what stands before it is the broker's to change.
        const at = 16 + (place % (batch.length - 16));
        batch[at] = batch[at]! ^ flip;
        expect(() => committedRecords(batch, [], 5n)).toThrow(BatchDamage);
      }),
    );
  });

  test("are read in each of Kafka's compressions", () => {
    const all = Array.from({ length: 50 }, (_, i) => ({
      ...record(`value ${i}`),
      headers: [["ü", Buffer.from("x")]] as const,
    }));
    const whole = batchAt(0n, all);
    for (const { bitmask, compressSync } of Object.values(compressionsAlgorithms)) {
      const packed = Buffer.concat([whole.subarray(0, 61), compressSync(whole.subarray(61))]);
      packed.writeInt32BE(packed.length - 12, 8);
      packed.writeInt16BE(bitmask, 21);
      packed.writeUInt32BE(crc32c(packed.subarray(21)), 17);
      const { records: read } = committedRecords(packed, [], 0n);
      expect(read.map(plain)).toEqual(all.map(plain));
    }
  });

  test("that are cut off at the end of an answer wait for the next", () => {
    const [first, second] = [batchAt(0n, [record("a")]), batchAt(1n, [record("b")])];
    const { records: read, nextOffset } = committedRecords(
      Buffer.concat([first, second.subarray(0, second.length - 1)]),
      [],
      0n,
    );
    expect([read.map(textOf), nextOffset]).toEqual([["a"], 1n]);
  });

  test("have the broker's time where it sets it", () => {
    const batch = batchAt(0n, [record("a"), record("b")], (b) => {
      b.writeInt16BE(0x08, 21);
      b.writeBigInt64BE(99n, 35);
    });
    expect(committedRecords(batch, [], 0n).records.map(({ timestampMs }) => timestampMs)).toEqual([99, 99]);
  });

  test("of transactions that were taken back are left out, with all markers", () => {
    const answer = Buffer.concat([
      batchAt(10n, [record("taken back 1")], ofProducer(1n, TRANSACTIONAL)),
      batchAt(11n, [record("committed 2")], ofProducer(2n, TRANSACTIONAL)),
      batchAt(12n, [record("outside")]),
      marker(13n, 1n, 0),
      batchAt(14n, [record("committed 1")], ofProducer(1n, TRANSACTIONAL)),
      marker(15n, 2n, 1),
      marker(16n, 1n, 1),
    ]);
    const { records: read, nextOffset } = committedRecords(answer, [{ producerId: 1n, firstOffset: 10n }], 10n);
    expect(read.map(textOf)).toEqual(["committed 2", "outside", "committed 1"]);
    expect(nextOffset).toBe(17n);
  });

  test("that hold nothing any more move the offset on", () => {
    const emptied = batchAt(3n, [record("gone")], (b) => {
      b.writeInt32BE(6, 23);
      b.writeInt32BE(0, 57);
    }).subarray(0, 61);
    emptied.writeInt32BE(61 - 12, 8);
    emptied.writeUInt32BE(crc32c(emptied.subarray(21)), 17);
    expect(committedRecords(emptied, [], 3n)).toEqual({ records: [], nextOffset: 10n });
  });
});
