/**
 * JSON text, written as bytes straight into a buffer that grows. Building three million small objects and turning each
 * into a string costs several times what the bytes cost.
 */
export class JsonText {
  bytes: Buffer;
  end = 0;
  #dayWritten = Number.NaN;
  readonly #dayText = Buffer.alloc(10);

  constructor(bytesExpected: number) {
    this.bytes = Buffer.allocUnsafeSlow(bytesExpected);
  }

  reserve(bytes: number): void {
    if (this.end + bytes <= this.bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(2 * this.bytes.length, this.end + bytes));
    this.bytes.copy(grown, 0, 0, this.end);
    this.bytes = grown;
  }

  byte(value: number): void {
    this.reserve(1);
    this.bytes[this.end++] = value;
  }

  /** As it is. */
  raw(source: Uint8Array): void {
    this.reserve(source.length);
    if (source.length > 24) this.bytes.set(source, this.end);
    else for (let i = 0; i < source.length; i++) this.bytes[this.end + i] = source[i]!;
    this.end += source.length;
  }

  ascii(text: string): void {
    this.reserve(text.length);
    this.end += this.bytes.write(text, this.end, "latin1");
  }

  /** UTF-8 as a JSON string. */
  string(utf8: Uint8Array): void {
    if (needsEscape(utf8)) {
      this.raw(Buffer.from(JSON.stringify(Buffer.from(utf8).toString("utf8")), "utf8"));
      return;
    }
    this.reserve(utf8.length + 2);
    this.bytes[this.end++] = QUOTE;
    this.raw(utf8);
    this.byte(QUOTE);
  }

  integer(value: number): void {
    if (value < 0 || value >= 1_000_000_000) {
      this.ascii(String(value));
      return;
    }
    this.reserve(9);
    let digits = 1;
    for (let scale = 10; scale <= value; scale *= 10) digits++;
    this.#digits(value, digits);
  }

  /** `YYYY-MM-DD` of a day counted from the epoch. */
  date(day: number): void {
    if (day < DAY_OF_YEAR_0 || day >= DAY_OF_YEAR_10000) {
      const text = new Date(day * MS_PER_DAY).toISOString();
      this.ascii(text.slice(0, text.indexOf("T")));
      return;
    }
    if (day !== this.#dayWritten) {
      this.#dayText.write(new Date(day * MS_PER_DAY).toISOString().slice(0, 10), "latin1");
      this.#dayWritten = day;
    }
    this.raw(this.#dayText);
  }

  /** ISO 8601 in UTC, as many digits after the second as it needs: `fraction` is `fractionDigits` digits long. */
  timestamp(seconds: number, fraction: number, fractionDigits: number): void {
    const day = Math.floor(seconds / SECONDS_PER_DAY);
    const second = seconds - day * SECONDS_PER_DAY;
    this.date(day);
    this.reserve(24);
    this.bytes[this.end++] = 0x54;
    this.#digits(Math.floor(second / 3600), 2);
    this.bytes[this.end++] = 0x3a;
    this.#digits(Math.floor(second / 60) % 60, 2);
    this.bytes[this.end++] = 0x3a;
    this.#digits(second % 60, 2);
    if (fraction > 0) {
      let shown = fraction;
      let digits = fractionDigits;
      for (; shown % 10 === 0; digits--) shown /= 10;
      this.bytes[this.end++] = 0x2e;
      this.#digits(shown, digits);
    }
    this.bytes[this.end++] = 0x5a;
  }

  #digits(value: number, count: number): void {
    let rest = value;
    for (let i = this.end + count - 1; i >= this.end; i--) {
      const next = Math.floor(rest / 10);
      this.bytes[i] = 0x30 + rest - next * 10;
      rest = next;
    }
    this.end += count;
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const SECONDS_PER_DAY = 86_400;
const MS_PER_DAY = 86_400_000;
const DAY_OF_YEAR_0 = -719_528;
const DAY_OF_YEAR_10000 = 2_932_897;

function needsEscape(utf8: Uint8Array): boolean {
  for (let i = 0; i < utf8.length; i++) {
    const byte = utf8[i]!;
    if (byte < 0x20 || byte === QUOTE || byte === BACKSLASH) return true;
  }
  return false;
}
