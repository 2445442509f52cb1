import type { SeedFormat } from "../manifest.ts";

/** By the end of the file's name, or `undefined`. */
export function seedFormatOf(file: string): SeedFormat | undefined {
  if (/\.csv$/i.test(file)) return "CSV";
  if (/\.(jsonl|ndjson)$/i.test(file)) return "JSONLines";
  if (/\.parquet$/i.test(file)) return "Parquet";
  return undefined;
}
