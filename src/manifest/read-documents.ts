import { type Document, isPair, isScalar, LineCounter, parseAllDocuments, type Scalar } from "yaml";
import type { ManifestError, Path } from "./manifest-error.ts";
import { pathText } from "./manifest-error.ts";
import { MANIFEST_BYTES_MAX } from "./manifest-text.ts";

const DOCUMENTS_MAX = 1000;
/** A manifest may use anchors, but not so that a small file becomes a large one. */
const ALIASES_MAX = 100;

export interface YamlDocument {
  /** 1 is the first. */
  readonly number: number;
  readonly value: unknown;
  /** An error at a path: on its key where the value is not there or `onKey` is said, else on the value. */
  error(path: Path, message: string, onKey?: boolean): ManifestError;
}

/** Text to plain values that remember where they stood. */
export function readDocuments(text: string): { documents: YamlDocument[]; errors: ManifestError[] } {
  const atFile = (message: string): ManifestError => ({ document: 0, path: "", line: 1, column: 1, message });
  if (Buffer.byteLength(text) > MANIFEST_BYTES_MAX) {
    return { documents: [], errors: [atFile(`the file is larger than ${MANIFEST_BYTES_MAX} bytes`)] };
  }
  const lines = new LineCounter();
  const parsed = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false, logLevel: "silent" });
  const all = Array.isArray(parsed) ? parsed : [];
  if (all.length > DOCUMENTS_MAX) {
    return { documents: [], errors: [atFile(`${all.length} documents; at most ${DOCUMENTS_MAX} are read`)] };
  }
  const documents: YamlDocument[] = [];
  const errors: ManifestError[] = [];
  for (const [index, document] of all.entries()) {
    const at = (offset: number, path: Path, message: string): ManifestError => {
      const { line, col } = lines.linePos(offset);
      return { document: index + 1, path: pathText(path), line, column: col, message };
    };
    // Not `warnings`: they concern tags that this project does not use, and `toJS` shows what came of them.
    for (const e of document.errors) errors.push(at(e.pos[0], [], `not valid YAML: ${sentence(e.message)}`));
    if (isEmpty(document)) continue;
    let value: unknown;
    try {
      value = document.toJS({ maxAliasCount: ALIASES_MAX });
    } catch (error) {
      errors.push(at(document.range[0], [], `not valid YAML: ${sentence((error as Error).message)}`));
      continue;
    }
    documents.push({
      number: index + 1,
      value,
      error: (path, message, onKey = false) => at(offsetOf(document, path, onKey), path, message),
    });
  }
  if (documents.length === 0 && errors.length === 0) errors.push(atFile("the file has no documents"));
  // Behind a broken quote or bracket the rest means something else: what would be found there were no mistakes.
  const isReadable = all.every((document) => document.errors.every((e) => e.code === "DUPLICATE_KEY"));
  return { documents: isReadable ? documents : [], errors };
}

/** A file may begin with comments and `---`, or end with it. */
function isEmpty(document: Document): boolean {
  return document.contents === null || (isScalar(document.contents) && document.contents.value === null);
}

function sentence(message: string): string {
  return message.charAt(0).toLowerCase() + message.slice(1);
}

/** Where the path stands in the text; where it does not, its nearest ancestor. */
function offsetOf(document: Document, path: Path, onKey: boolean): number {
  for (let length = path.length; length > 0; length -= 1) {
    const parent = document.getIn(path.slice(0, length - 1), true) as { items?: unknown[] } | undefined;
    const last = path[length - 1];
    if (typeof last === "string" && onKey && length === path.length) {
      const pair = parent?.items?.find((item) => isPair(item) && isScalar(item.key) && String(item.key.value) === last);
      const key = isPair(pair) ? (pair.key as Scalar) : undefined;
      if (key?.range) return key.range[0];
    }
    const node = document.getIn(path.slice(0, length), true) as { range?: [number, number, number] } | undefined;
    if (node?.range) return node.range[0];
  }
  return (document.contents as { range?: [number, number, number] } | null)?.range?.[0] ?? 0;
}
