/**
 * The batches of a scan in one file, as they lie in memory, so that reading them back costs a copy:
 *
 *   groups of rows: of each column its values, then its nulls if the group has any, each padded to 8 bytes
 *   what the groups are, as JSON · its length in 4 bytes · SHA-256 of all of it
 *
 * Numbers are as the machine keeps them; Node.js runs on little-endian machines only.
 */
import { createHash } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import type { Codes, Column, ColumnBatch, ColumnValues } from "./snapshot-reader.ts";

/** The most rows that are read at a time. */
const GROUP_ROWS_MAX = 32_768;
const LENGTH_BYTES = 4;
const DIGEST_BYTES = 32;
/** Dictionaries are its greatest part: 40,000 strings a column at most. */
const HEADER_BYTES_MAX = 64 * 2 ** 20;

const ARRAYS = { Uint8Array, Uint16Array, Uint32Array, Int32Array, Float64Array, BigInt64Array };
type ArrayName = keyof typeof ARRAYS;
type Values = Codes | Int32Array | Float64Array | BigInt64Array;

interface Header {
  readonly rows: number;
  readonly columns: readonly {
    readonly type: ColumnValues["type"];
    readonly array: ArrayName;
    /** Of strings. */
    readonly dictionary?: readonly string[];
  }[];
  /** `nulls[i]`: column i has nulls in the group. */
  readonly groups: readonly { readonly rows: number; readonly nulls: readonly boolean[] }[];
}

interface ColumnBuffer {
  readonly type: ColumnValues["type"];
  readonly dictionary: readonly string[] | undefined;
  readonly values: Values;
  readonly nulls: Uint8Array;
  hasNulls: boolean;
}

export class ColumnFileWriter {
  readonly #file: FileHandle;
  readonly #hash = createHash("sha256");
  readonly #groups: { rows: number; nulls: boolean[] }[] = [];
  #columns: readonly ColumnBuffer[] | undefined;
  #buffered = 0;

  constructor(file: FileHandle) {
    this.#file = file;
  }

  /** Copies the batch. False: such columns have no place here, and the file comes to nothing. */
  async add(batch: ColumnBatch): Promise<boolean> {
    if (batch.rows > GROUP_ROWS_MAX) return false;
    if (this.#buffered + batch.rows > GROUP_ROWS_MAX) await this.#flush();
    this.#columns ??= batch.columns.map(columnBuffer);
    for (const [i, column] of batch.columns.entries()) {
      const buffer = this.#columns[i];
      const values = arrayOf(column);
      const dictionary = column.type === "STRING" ? column.dictionary : undefined;
      if (buffer === undefined || values?.constructor !== buffer.values.constructor) return false;
      if (dictionary !== buffer.dictionary) return false;
      (buffer.values as Uint8Array).set(values.subarray(0, batch.rows) as Uint8Array, this.#buffered);
      if (column.nulls !== undefined) {
        buffer.nulls.set(column.nulls.subarray(0, batch.rows), this.#buffered);
        buffer.hasNulls = true;
      }
    }
    this.#buffered += batch.rows;
    return true;
  }

  async finish(): Promise<void> {
    await this.#flush();
    const header: Header = {
      rows: this.#groups.reduce((sum, { rows }) => sum + rows, 0),
      columns: (this.#columns ?? []).map(({ type, values, dictionary }) => ({
        type,
        array: values.constructor.name as ArrayName,
        ...(dictionary === undefined ? {} : { dictionary }),
      })),
      groups: this.#groups,
    };
    const text = Buffer.from(JSON.stringify(header));
    const length = Buffer.alloc(LENGTH_BYTES);
    length.writeUInt32LE(text.length);
    await this.#write(text);
    await this.#write(length);
    await this.#file.appendFile(this.#hash.digest());
  }

  async #flush(): Promise<void> {
    if (this.#buffered === 0) return;
    const columns = this.#columns ?? [];
    for (const { values, nulls, hasNulls } of columns) {
      await this.#write(padded(values, this.#buffered));
      if (hasNulls) await this.#write(padded(nulls, this.#buffered));
    }
    this.#groups.push({ rows: this.#buffered, nulls: columns.map(({ hasNulls }) => hasNulls) });
    this.#buffered = 0;
    for (const column of columns) {
      column.hasNulls = false;
      column.nulls.fill(0);
    }
  }

  async #write(bytes: Uint8Array): Promise<void> {
    this.#hash.update(bytes);
    await this.#file.appendFile(bytes);
  }
}

function columnBuffer(column: Column): ColumnBuffer {
  const like = arrayOf(column) ?? new Uint8Array();
  const array = ARRAYS[like.constructor.name as ArrayName];
  return {
    type: column.type,
    dictionary: column.type === "STRING" ? column.dictionary : undefined,
    values: new array(GROUP_ROWS_MAX),
    nulls: new Uint8Array(GROUP_ROWS_MAX),
    hasNulls: false,
  };
}

function arrayOf(column: Column): Values | undefined {
  if (column.type === "STRING") return column.codes;
  return column.type === "BYTES" || column.type === "DECIMAL" ? undefined : column.values;
}

function padded(values: Values, rows: number): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, paddedBytes(rows * values.BYTES_PER_ELEMENT));
}

function paddedBytes(bytes: number): number {
  return Math.ceil(bytes / 8) * 8;
}

/**
 * The batches of a file that is as it was written and holds so many rows; all of it is read once to know that. Its end,
 * or leaving the loop, closes the file. Undefined: there is no such file. Never throws.
 */
export async function readColumnFile(path: string, rows: bigint): Promise<AsyncIterable<ColumnBatch> | undefined> {
  const file = await open(path).catch(() => undefined);
  if (file === undefined) return undefined;
  const header = await soundHeader(file).catch(() => undefined);
  if (header !== undefined && BigInt(header.rows) === rows) return batches(file, header);
  await file.close();
  return undefined;
}

async function soundHeader(file: FileHandle): Promise<Header | undefined> {
  const { size } = await file.stat();
  const content = size - DIGEST_BYTES;
  if (content < LENGTH_BYTES) return undefined;
  const hash = createHash("sha256");
  const pieces = file.createReadStream({ start: 0, end: content - 1, autoClose: false, highWaterMark: 1 << 20 });
  for await (const piece of pieces) hash.update(piece as Buffer);
  const digest = await bytesAt(file, content, DIGEST_BYTES);
  if (!hash.digest().equals(digest)) return undefined;
  const length = (await bytesAt(file, content - LENGTH_BYTES, LENGTH_BYTES)).readUInt32LE();
  if (length > HEADER_BYTES_MAX || length > content - LENGTH_BYTES) return undefined;
  return JSON.parse((await bytesAt(file, content - LENGTH_BYTES - length, length)).toString()) as Header;
}

async function bytesAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const { buffer } = await file.read(Buffer.allocUnsafeSlow(length), 0, length, position);
  return buffer;
}

async function* batches(file: FileHandle, { columns, groups }: Header): AsyncIterable<ColumnBatch> {
  try {
    let position = 0;
    for (const { rows, nulls } of groups) {
      const bytesOf = (array: ArrayName) => paddedBytes(rows * ARRAYS[array].BYTES_PER_ELEMENT);
      const parts = columns.map(({ array }, i) => bytesOf(array) + (nulls[i] === true ? bytesOf("Uint8Array") : 0));
      const length = parts.reduce((a, b) => a + b, 0);
      const buffer = (await bytesAt(file, position, length)).buffer as ArrayBuffer;
      position += length;
      let offset = 0;
      const read = columns.map(({ type, array, dictionary }, i): Column => {
        const values = new ARRAYS[array](buffer, offset, rows);
        const column = (type === "STRING" ? { type, codes: values as Codes, dictionary } : { type, values }) as Column;
        const withNulls =
          nulls[i] === true ? { ...column, nulls: new Uint8Array(buffer, offset + bytesOf(array), rows) } : column;
        offset += parts[i] ?? 0;
        return withNulls;
      });
      yield { rows, columns: read };
    }
  } finally {
    await file.close();
  }
}
