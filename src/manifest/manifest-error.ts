import { Fault } from "../fault/fault.ts";

/** One mistake, where it is and what would be right. */
export interface ManifestError {
  /** 1 is the first document of the file; 0: the file itself. */
  readonly document: number;
  /** `spec.tables[1].columns[0].type`; empty for the whole document. */
  readonly path: string;
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

export type Path = readonly (string | number)[];

export function pathText(path: Path): string {
  let text = "";
  for (const part of path) {
    if (typeof part === "number") text += `[${part}]`;
    else if (/^[A-Za-z_$][\w$-]*$/.test(part)) text += text === "" ? part : `.${part}`;
    else text += `[${JSON.stringify(part)}]`;
  }
  return text;
}

/** As many are printed; the count is always of all. */
const PRINTED_MAX = 100;

/** A message may quote the file, line breaks included. */
function oneLine(error: ManifestError): ManifestError {
  return { ...error, message: error.message.replace(/\p{Cc}/gu, (c) => JSON.stringify(c).slice(1, -1)) };
}

/** All mistakes at once, a line each, in the order of the file. */
export function invalidManifest(file: string, errors: readonly ManifestError[]): Fault {
  const sorted = errors
    .map(oneLine)
    .sort((a, b) => a.line - b.line || a.column - b.column || (a.path < b.path ? -1 : 1));
  const lines = sorted.slice(0, PRINTED_MAX).map((e) => {
    const where = e.path === "" ? "" : `${e.path}: `;
    return `  ${file}:${e.line}:${e.column} ${where}${e.message}`;
  });
  const count = `${errors.length} mistake${errors.length === 1 ? "" : "s"}`;
  const rest = sorted.length > PRINTED_MAX ? [`  and ${sorted.length - PRINTED_MAX} more`] : [];
  return new Fault("invalid-manifest", [`read manifest ${file}: ${count}`, ...lines, ...rest].join("\n"), {
    errors: sorted.map((e) => ({
      pointer: e.document === 0 ? "" : `documents[${e.document - 1}]${e.path === "" ? "" : `.${e.path}`}`,
      detail: `${e.line}:${e.column}: ${e.message}`,
    })),
  });
}
