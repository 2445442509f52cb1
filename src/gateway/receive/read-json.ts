import { Fault } from "../../fault/fault.ts";

/**
 * A strict reader of JSON text (RFC 8259) for requests from anybody.
 *
 * JSON.parse rounds 2^53+1, keeps the last of two equal keys, and follows any depth; a query answered for a number or
 * a key that the client did not mean is a wrong answer. So this reader keeps the text of every number that a double may
 * not hold exactly, refuses duplicate keys (equal values too), depth beyond a limit, numbers that are not finite, lone
 * surrogates and `__proto__`, and says where: each fault carries a JSON pointer.
 *
 * It reads in one turn of the event loop, so it also bounds the number of values: 100,000 are about 50 ms with decoding.
 */
export type Json = null | boolean | number | string | ExactNumber | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json;
}

/** A number with its text: an integer of more than 15 digits, a fraction, or one with an exponent. */
export class ExactNumber {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** Of one text: every key with its value, every item of a list. */
const VALUES_MAX = 100_000;

/** Faults: `malformed-request`, with a pointer and the position. */
export function readJson(text: string, depthMax: number): Json {
  return new Reader(text, depthMax).read();
}

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON forbids exactly these unescaped
const PLAIN = /[^"\\\u0000-\u001f]+/y;
const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  "\\": "\\",
  "/": "/",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
};

class Reader {
  readonly #text: string;
  readonly #depthMax: number;
  readonly #path: (string | number)[] = [];
  #at = 0;
  #values = 0;

  constructor(text: string, depthMax: number) {
    this.#text = text;
    this.#depthMax = depthMax;
  }

  read(): Json {
    const value = this.#value();
    if (this.#at < this.#text.length) this.#fail("there is more after the value");
    return value;
  }

  #value(): Json {
    if (++this.#values > VALUES_MAX) this.#fail(`more than ${VALUES_MAX} values`);
    this.#space();
    const value = this.#bare();
    this.#space();
    return value;
  }

  #bare(): Json {
    const char = this.#text[this.#at];
    if (char === "{") return this.#nested(() => this.#object());
    if (char === "[") return this.#nested(() => this.#array());
    if (char === '"') return this.#string();
    for (const [word, value] of [
      ["true", true],
      ["false", false],
      ["null", null],
    ] as const) {
      if (this.#text.startsWith(word, this.#at)) {
        this.#at += word.length;
        return value;
      }
    }
    return this.#number();
  }

  #nested<T>(read: () => T): T {
    // The path is as long as the nesting is deep, so the limit also bounds this reader's own recursion.
    if (this.#path.length >= this.#depthMax) this.#fail(`nested more than ${this.#depthMax} deep`);
    this.#at++;
    return read();
  }

  #object(): JsonObject {
    const object: Record<string, Json> = {};
    this.#space();
    if (this.#take("}")) return object;
    do {
      this.#space();
      if (this.#text[this.#at] !== '"') this.#fail("a key in quotes is expected");
      const key = this.#string();
      this.#path.push(key);
      if (key === "__proto__") this.#fail("this key is not allowed");
      if (Object.hasOwn(object, key)) this.#fail("this key is there twice");
      this.#space();
      if (!this.#take(":")) this.#fail("':' is expected");
      object[key] = this.#value();
      this.#path.pop();
    } while (this.#take(","));
    if (!this.#take("}")) this.#fail("',' or '}' is expected");
    return object;
  }

  #array(): readonly Json[] {
    const array: Json[] = [];
    this.#space();
    if (this.#take("]")) return array;
    do {
      this.#path.push(array.length);
      array.push(this.#value());
      this.#path.pop();
    } while (this.#take(","));
    if (!this.#take("]")) this.#fail("',' or ']' is expected");
    return array;
  }

  #string(): string {
    this.#at++;
    let text = "";
    for (;;) {
      PLAIN.lastIndex = this.#at;
      const plain = PLAIN.exec(this.#text)?.[0] ?? "";
      text += plain;
      this.#at += plain.length;
      if (this.#take('"')) break;
      if (!this.#take("\\"))
        this.#fail(this.#at < this.#text.length ? "a control character in a string" : "a string does not end");
      text += this.#escape();
    }
    if (!text.isWellFormed()) this.#fail("half of a surrogate pair in a string");
    return text;
  }

  #escape(): string {
    const char = this.#text[this.#at++] ?? "";
    const simple = ESCAPES[char];
    if (simple !== undefined) return simple;
    const hex = this.#text.slice(this.#at, this.#at + 4);
    if (char !== "u" || !/^[0-9a-fA-F]{4}$/.test(hex)) this.#fail("an escape that JSON does not know");
    this.#at += 4;
    return String.fromCharCode(Number.parseInt(hex, 16));
  }

  #number(): number | ExactNumber {
    NUMBER.lastIndex = this.#at;
    const text = NUMBER.exec(this.#text)?.[0];
    if (text === undefined) this.#fail(this.#at < this.#text.length ? "a value is expected" : "it ends too early");
    this.#at += text.length;
    if (!Number.isFinite(Number(text))) this.#fail(`${text.slice(0, 40)} is beyond the range of numbers`);
    return /^-?\d{1,15}$/.test(text) ? Number(text) : new ExactNumber(text);
  }

  #space(): void {
    while (" \n\r\t".includes(this.#text[this.#at] ?? "x")) this.#at++;
  }

  #take(char: string): boolean {
    if (this.#text[this.#at] !== char) return false;
    this.#at++;
    return true;
  }

  #fail(detail: string): never {
    const pointer = jsonPointer(this.#path);
    const where = pointer === "" ? "" : ` at ${pointer}`;
    throw new Fault("malformed-request", `read JSON${where}: ${detail} (position ${this.#at})`, {
      errors: [{ pointer, detail }],
    });
  }
}

/** RFC 6901. */
export function jsonPointer(path: readonly (string | number)[]): string {
  return path.map((part) => `/${String(part).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
}
