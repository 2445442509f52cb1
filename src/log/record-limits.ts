/**
 * What any record must keep, whichever log takes it. Asked for here by who makes records, so that it can name the row
 * that is wrong, and by the log that takes them.
 */

/** One record, all its parts together. Larger than any sane row; small enough that a reader can hold several. */
export const RECORD_BYTES_MAX = 16 * 1024 * 1024;
/** The year 144,683: the difference of two timestamps, with its sign, is an integer that a double holds exactly. */
export const TIMESTAMP_MS_MAX = 2 ** 52 - 1;

/** What is wrong with a record of this timestamp and size. Kafka has no timestamps before 1970 either. */
export function recordProblem(timestampMs: number, bytes: number): string | undefined {
  if (!Number.isInteger(timestampMs) || timestampMs < 0 || timestampMs > TIMESTAMP_MS_MAX) {
    return `timestamp ${timestampMs} is not whole milliseconds from 0 to ${TIMESTAMP_MS_MAX}`;
  }
  if (bytes > RECORD_BYTES_MAX) return `a record of about ${bytes} bytes, more than ${RECORD_BYTES_MAX}`;
  return undefined;
}
