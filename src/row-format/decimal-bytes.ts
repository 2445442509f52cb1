import { RowReject } from "./row-reject.ts";

/** Two's complement, the greatest byte first; no bytes are zero. */
export function decimalFromBytes(bytes: Uint8Array): bigint {
  if (bytes.length === 0) return 0n;
  const hex = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");
  return BigInt.asIntN(8 * bytes.length, BigInt(`0x${hex}`));
}

/** In so many bytes, or in as few as it takes. Throws `RowReject` where it does not fit. */
export function decimalToBytes(value: bigint, size: number | undefined): Buffer {
  let length = size ?? 1;
  if (size === undefined) while (BigInt.asIntN(8 * length, value) !== value) length++;
  else if (BigInt.asIntN(8 * length, value) !== value) throw new RowReject(`${value} does not fit ${size} bytes`);
  return Buffer.from(
    BigInt.asUintN(8 * length, value)
      .toString(16)
      .padStart(2 * length, "0"),
    "hex",
  );
}
