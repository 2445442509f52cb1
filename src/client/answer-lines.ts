import { StringDecoder } from "node:string_decoder";
import { errorOfProblem, QueryError } from "./query-error.ts";

/** One line is one message; a gateway's own bound is below it. */
export const LINE_CHARS_MAX = 64 * 1024 * 1024;

export type AnswerLine =
  | { readonly kind: "message"; readonly json: unknown; readonly text: string }
  /** `end`: all that the last line says. */
  | { readonly kind: "end"; readonly completeness: unknown; readonly end?: unknown };

/**
 * Reads a streamed answer line by line, at the reader's pace. The last line says that the answer is whole; a body that
 * ends without it was cut off, and that is an error however many messages came before.
 */
export async function* answerLines(body: AsyncIterable<Uint8Array>, attempted: string): AsyncGenerator<AnswerLine> {
  for await (const text of lines(body, attempted)) {
    const json = parseLine(text, attempted);
    if (typeof json === "object" && json !== null && "$error" in json) throw errorOfProblem(json.$error, attempted);
    if (typeof json === "object" && json !== null && "$end" in json) {
      const end = json.$end as { completeness?: unknown } | null;
      yield { kind: "end", completeness: end?.completeness, end };
      return;
    }
    yield { kind: "message", json, text };
  }
  throw new QueryError("broken-answer", `${attempted}: the answer was cut off`);
}

async function* lines(body: AsyncIterable<Uint8Array>, attempted: string): AsyncGenerator<string> {
  const decoder = new StringDecoder("utf8");
  let rest = "";
  for await (const chunk of body) {
    const pieces = decoder.write(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)).split("\n");
    pieces[0] = rest + pieces[0];
    rest = pieces.pop() ?? "";
    if (rest.length > LINE_CHARS_MAX) throw new QueryError("broken-answer", `${attempted}: a line does not end`);
    for (const piece of pieces) if (piece !== "") yield piece;
  }
  // A last line without its end was cut off too: it is left out, and the caller finds no `$end`.
}

function parseLine(text: string, attempted: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new QueryError("broken-answer", `${attempted}: a line is not JSON`, undefined, error);
  }
}
