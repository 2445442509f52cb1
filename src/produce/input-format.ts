import { extname } from "node:path";
import { Fault } from "../fault/fault.ts";

export type InputFormat = "csv" | "tsv" | "jsonl" | "parquet";

const BY_EXTENSION: Readonly<Record<string, InputFormat>> = {
  ".csv": "csv",
  ".tsv": "tsv",
  ".jsonl": "jsonl",
  ".ndjson": "jsonl",
  ".parquet": "parquet",
};

/** The format asked for, or the one that the file's name tells. Fault `bad-input-file`. */
export function inputFormatOf(file: string, asked: string | undefined): InputFormat {
  const known = Object.values(BY_EXTENSION);
  if (asked !== undefined) {
    const format = known.find((name) => name === asked.toLowerCase());
    if (format !== undefined) return format;
    throw new Fault("bad-input-file", `load ${file}: format "${asked}" is none of ${[...new Set(known)].join(", ")}`);
  }
  const format = BY_EXTENSION[extname(file).toLowerCase()];
  if (format !== undefined) return format;
  const wanted = Object.keys(BY_EXTENSION).join(", ");
  throw new Fault("bad-input-file", `load ${file}: its name does not end in ${wanted}, so the format must be given`);
}
