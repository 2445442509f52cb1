import type { ColumnSpec } from "../mesh/table-spec.ts";
import { type ValueParser, valueParser } from "./column-value.ts";
import { quoted, RowReject } from "./row-reject.ts";
import type { RowValue } from "./row-value.ts";

/**
 * Reads one JSON object straight into the values of a table's columns.
 *
 * `JSON.parse` turns 9007199254740993 into …992, takes the last of two equal keys and builds an object that is thrown
 * away at once. A row is flat and its fields are known, so reading it here is exact, refuses what is doubtful and needs
 * less time: fields mostly come in the table's order, and then a name costs one comparison. What is accepted is a subset
 * of RFC 8259, and the tests hold it against `JSON.parse`.
 */
export class JsonRowReader {
  readonly #columns: readonly Column[];
  readonly #byName: ReadonlyMap<string, number>;
  #text = "";
  #at = 0;

  constructor(columns: readonly ColumnSpec[]) {
    this.#columns = columns.map(({ name, type, nullable }) => ({
      name,
      nullable,
      token: JSON.stringify(name),
      parser: valueParser(type),
    }));
    this.#byName = new Map(columns.map((column, i) => [column.name, i]));
  }

  /** One value per column. Throws `RowReject`. */
  read(text: string): RowValue[] {
    this.#text = text;
    this.#at = 0;
    const values = new Array<RowValue | undefined>(this.#columns.length).fill(undefined);
    if (this.#next() !== OPEN_BRACE) throw this.#malformed("an object");
    this.#at += 1;
    if (this.#next() === CLOSE_BRACE) this.#at += 1;
    else this.#fields(values);
    this.#next();
    if (this.#at < text.length) throw this.#malformed("the end");
    for (let i = 0; i < values.length; i++) {
      if (values[i] !== undefined) continue;
      if (!this.#columns[i]!.nullable) throw new RowReject(`field ${quoted(this.#columns[i]!.name)} is missing`);
      values[i] = null;
    }
    return values as RowValue[];
  }

  #fields(values: (RowValue | undefined)[]): void {
    let expected = 0;
    for (;;) {
      const index = this.#name(expected);
      const column = this.#columns[index]!;
      if (values[index] !== undefined) throw new RowReject(`field ${quoted(column.name)} comes twice`);
      if (this.#next() !== COLON) throw this.#malformed("a colon");
      this.#at += 1;
      try {
        values[index] = this.#value(column);
      } catch (error) {
        if (error instanceof RowReject) throw new RowReject(`field ${quoted(column.name)}: ${error.reason}`);
        throw error;
      }
      expected = index + 1;
      const after = this.#next();
      this.#at += 1;
      if (after === CLOSE_BRACE) return;
      if (after !== COMMA) {
        this.#at -= 1;
        throw this.#malformed("a comma or a closing brace");
      }
      this.#next();
    }
  }

  /** Index of the column whose name comes next. */
  #name(expected: number): number {
    const likely = this.#columns[expected];
    if (likely !== undefined && this.#literal(likely.token)) return expected;
    if (this.#text.charCodeAt(this.#at) !== QUOTE) throw this.#malformed("a field name");
    const name = this.#string();
    const index = this.#byName.get(name);
    if (index === undefined) throw new RowReject(`unknown field ${quoted(name)}`);
    return index;
  }

  #value(column: Column): RowValue {
    const first = this.#next();
    if (first === QUOTE) return column.parser.fromString(this.#string());
    if ((first >= ZERO && first <= NINE) || first === MINUS) return this.#number(column.parser);
    if (this.#literal("null")) {
      if (!column.nullable) throw new RowReject("null in a column that is not nullable");
      return null;
    }
    if (this.#literal("true")) return column.parser.fromBoolean(true);
    if (this.#literal("false")) return column.parser.fromBoolean(false);
    if (first === OPEN_BRACE) throw new RowReject("an object is no column value");
    if (first === OPEN_BRACKET) throw new RowReject("an array is no column value");
    throw this.#malformed("a value");
  }

  /** Passes over `word` if it is here. A loop, since `startsWith` costs a call into the engine for each few characters. */
  #literal(word: string): boolean {
    const text = this.#text;
    const start = this.#at;
    for (let i = 0; i < word.length; i++) {
      if (text.charCodeAt(start + i) !== word.charCodeAt(i)) return false;
    }
    this.#at = start + word.length;
    return true;
  }

  #number(parser: ValueParser): RowValue {
    const start = this.#at;
    const text = this.#text;
    const negative = text.charCodeAt(start) === MINUS;
    const firstDigit = negative ? start + 1 : start;
    let at = firstDigit;
    let value = 0;
    for (let c = text.charCodeAt(at); c >= ZERO && c <= NINE; c = text.charCodeAt(++at))
      value = value * 10 + (c - ZERO);
    const count = at - firstDigit;
    const next = text.charCodeAt(at);
    const plain = next !== POINT && next !== UPPER_E && next !== LOWER_E;
    const leadingZero = count > 1 && text.charCodeAt(firstDigit) === ZERO;
    // -0 goes the slow way, since for a DOUBLE it differs from 0.
    if (plain && count > 0 && count <= 15 && !leadingZero && (value !== 0 || !negative) && parser.smallInteger) {
      this.#at = at;
      return parser.smallInteger(negative ? -value : value);
    }
    NUMBER.lastIndex = start;
    const token = NUMBER.exec(text)?.[0];
    if (token === undefined) throw this.#malformed("a number");
    this.#at = start + token.length;
    return parser.fromNumber(token);
  }

  /** The string whose opening quote is here, unescaped. */
  #string(): string {
    const text = this.#text;
    const start = this.#at + 1;
    let at = start;
    let escaped = false;
    for (;;) {
      const c = text.charCodeAt(at);
      if (c === QUOTE) break;
      if (c === BACKSLASH) {
        escaped = true;
        at += 1;
      } else if (!(c >= SPACE)) {
        // Below a space, or NaN at the end of the text.
        this.#at = Math.min(at, text.length);
        throw this.#malformed("a closing quote");
      }
      at += 1;
    }
    this.#at = at + 1;
    if (!escaped) return text.slice(start, at);
    try {
      return JSON.parse(text.slice(start - 1, at + 1)) as string;
    } catch {
      this.#at = start;
      throw this.#malformed("a string with valid escapes");
    }
  }

  /** Skips white space; the character there, NaN at the end. */
  #next(): number {
    for (;;) {
      const c = this.#text.charCodeAt(this.#at);
      if (c !== SPACE && c !== 0x0a && c !== 0x0d && c !== 0x09) return c;
      this.#at += 1;
    }
  }

  #malformed(expected: string): RowReject {
    const found = this.#at >= this.#text.length ? "the end" : quoted(this.#text.slice(this.#at, this.#at + 10));
    return new RowReject(`malformed JSON at character ${this.#at}: expected ${expected}, found ${found}`);
  }
}

interface Column {
  readonly name: string;
  readonly nullable: boolean;
  /** The name as JSON writes it. */
  readonly token: string;
  readonly parser: ValueParser;
}

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;

const SPACE = 0x20;
const QUOTE = 0x22;
const COMMA = 0x2c;
const MINUS = 0x2d;
const POINT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const UPPER_E = 0x45;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const LOWER_E = 0x65;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
