/** By type: BOOLEAN boolean; INT32, DATE (days) number; INT64, TIMESTAMP (µs), DECIMAL (unscaled) bigint; DOUBLE number. */
export type RowValue = boolean | number | bigint | string | Uint8Array | null;
