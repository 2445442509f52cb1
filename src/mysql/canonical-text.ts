import { type ColumnType, columnKind } from "../mesh/column-type.ts";

/** A value in the representation of the node's `StoreValue`. */
export type CellValue = boolean | number | bigint | string | Uint8Array | null;

/**
 * A double as the one text that all stores write: the fewest digits that give it back, as DuckDB prints them. Servers of
 * the MySQL protocol print doubles each in its own way and hold neither NaN nor infinities, so a double is kept there as
 * this text.
 */
export function doubleText(value: number): string {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  const sign = value < 0 || Object.is(value, -0) ? "-" : "";
  const magnitude = Math.abs(value);
  const [digits = "0", exponentText = "0"] = magnitude.toExponential().split("e");
  const exponent = Number(exponentText);
  if (exponent < -4 || exponent >= 16) {
    const power = String(Math.abs(exponent)).padStart(2, "0");
    return `${sign}${digits}e${exponent < 0 ? "-" : "+"}${power}`;
  }
  const plain = String(magnitude);
  return `${sign}${plain}${plain.includes(".") ? "" : ".0"}`;
}

export function doubleOfText(text: string): number {
  if (text === "nan") return Number.NaN;
  if (text === "inf") return Number.POSITIVE_INFINITY;
  return text === "-inf" ? Number.NEGATIVE_INFINITY : Number(text);
}

/**
 * What a key is, as text that no other key makes. Zero has one sign here, since a database holds 0.0 and -0.0 for one key.
 */
export function keyText(types: readonly ColumnType[], values: readonly CellValue[]): string {
  return types
    .map((type, i) => {
      const text = cellText(type, values[i] ?? null);
      return text === undefined ? "-" : `${Buffer.byteLength(text)}:${text}`;
    })
    .join("");
}

function cellText(type: ColumnType, value: CellValue): string | undefined {
  if (value === null) return undefined;
  if (value instanceof Uint8Array) return Buffer.from(value).toString("hex");
  return columnKind(type).kind === "DOUBLE" ? doubleText(value === 0 ? 0 : (value as number)) : String(value);
}
