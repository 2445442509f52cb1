/**
 * Dates and times as numbers, exact to the microsecond. `Date` would lose microseconds and accept much that is no date.
 * Years are 0001 to 9999, in the proleptic Gregorian calendar, as in SQL.
 */
const DAYS_IN_MONTH = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** `YYYY-MM-DD` at the start of `text` as days since 1970-01-01, or `undefined`. */
export function daysAt(text: string): number | undefined {
  const year = digits(text, 0, 4);
  const month = digits(text, 5, 2);
  const day = digits(text, 8, 2);
  if (text.charCodeAt(4) !== DASH || text.charCodeAt(7) !== DASH) return undefined;
  if (!(year >= 1) || !(month >= 1 && month <= 12) || !(day >= 1)) return undefined;
  const leap = month === 2 && year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  if (day > DAYS_IN_MONTH[month - 1]! + (leap ? 1 : 0)) return undefined;
  // Years that begin in March put the leap day last (Howard Hinnant, "chrono-compatible low-level date algorithms").
  const marchYear = month <= 2 ? year - 1 : year;
  const era = Math.floor(marchYear / 400);
  const yearOfEra = marchYear - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146097 + dayOfEra - 719468;
}

export function dateDays(text: string): number | undefined {
  return text.length === 10 ? daysAt(text) : undefined;
}

/**
 * ISO 8601 `YYYY-MM-DDTHH:MM:SS[.fraction](Z|±HH:MM)` as microseconds since 1970 in UTC, or `undefined`. A time without
 * zone means nothing exact, a fraction beyond microseconds would be cut, a leap second has no number: all refused.
 */
export function timestampMicros(text: string): bigint | undefined {
  const days = daysAt(text);
  const hour = digits(text, 11, 2);
  const minute = digits(text, 14, 2);
  const second = digits(text, 17, 2);
  if (days === undefined || !(hour <= 23) || !(minute <= 59) || !(second <= 59)) return undefined;
  const separator = text.charCodeAt(10);
  if ((separator !== 0x54 && separator !== 0x74) || text.charCodeAt(13) !== COLON || text.charCodeAt(16) !== COLON) {
    return undefined;
  }
  let at = 19;
  let micros = 0;
  if (text.charCodeAt(at) === 0x2e) {
    let place = 100_000;
    const first = ++at;
    for (let digit = digits(text, at, 1); digit >= 0; digit = digits(text, ++at, 1)) {
      if (place < 1 && digit !== 0) return undefined;
      micros += digit * Math.floor(place);
      place /= 10;
    }
    if (at === first) return undefined;
  }
  const offset = offsetMinutes(text, at);
  if (offset === undefined) return undefined;
  const seconds = days * 86_400 + hour * 3_600 + (minute - offset) * 60 + second;
  if (seconds < FIRST_SECOND || seconds > LAST_SECOND) return undefined;
  const total = seconds * 1_000_000 + micros;
  return Number.isSafeInteger(total) ? BigInt(total) : BigInt(seconds) * 1_000_000n + BigInt(micros);
}

/** The zone must end the text. */
function offsetMinutes(text: string, at: number): number | undefined {
  const sign = text.charCodeAt(at);
  if (sign === 0x5a || sign === 0x7a) return text.length === at + 1 ? 0 : undefined;
  if ((sign !== 0x2b && sign !== DASH) || text.length !== at + 6 || text.charCodeAt(at + 3) !== COLON) return undefined;
  const hours = digits(text, at + 1, 2);
  const minutes = digits(text, at + 4, 2);
  if (!(hours <= 23) || !(minutes <= 59)) return undefined;
  return (sign === DASH ? -1 : 1) * (hours * 60 + minutes);
}

/** The number that `count` digits at `at` make, NaN when some are no digits; NaN fails every comparison. */
function digits(text: string, at: number, count: number): number {
  let value = 0;
  for (let i = at; i < at + count; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (!(digit >= 0 && digit <= 9)) return Number.NaN;
    value = value * 10 + digit;
  }
  return value;
}

const DASH = 0x2d;
const COLON = 0x3a;
/** 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z: an offset must not lead out of the years there are. */
const FIRST_SECOND = -62_135_596_800;
const LAST_SECOND = 253_402_300_799;
