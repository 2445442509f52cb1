import type { MessageRecipe } from "../../../merge-plan/method-plan.ts";
import { BatchPool } from "./batch-pool.ts";
import { compileLayout, type Layout } from "./layout.ts";
import { RowDecoder } from "./row-decoder.ts";
import { RowWriter } from "./row-writer.ts";

/** All that is made once of a response's recipe. */
export interface CompiledMerge {
  readonly layout: Layout;
  readonly decoder: RowDecoder;
  readonly writer: RowWriter;
  readonly batches: BatchPool;
}

const compiled = new WeakMap<MessageRecipe, CompiledMerge | "interpreted">();

/** Undefined where only the interpreter reads the response as the library does. */
export function compileMerge(recipe: MessageRecipe): CompiledMerge | undefined {
  const known = compiled.get(recipe) ?? compileNow(recipe) ?? "interpreted";
  compiled.set(recipe, known);
  return known === "interpreted" ? undefined : known;
}

function compileNow(recipe: MessageRecipe): CompiledMerge | undefined {
  const layout = compileLayout(recipe);
  const decoder = layout && RowDecoder.of(layout);
  if (decoder === undefined) return undefined;
  const { layout: read } = decoder;
  return { layout: read, decoder, writer: new RowWriter(read), batches: new BatchPool(read) };
}
