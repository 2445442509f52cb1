/**
 * A document whose shape may be wrong in places: what is wrong is not there. So the checks across documents can run in
 * the same pass as the checks of shape, and a file of ten mistakes is told all ten.
 */
export type Draft<T> = T extends readonly (infer Item)[]
  ? readonly (Draft<Item> | undefined)[]
  : T extends object
    ? { readonly [Key in keyof T]?: Draft<T[Key]> | undefined }
    : T;

/** The value without what stands at the pointers; places in lists are kept. */
export function draftOf(value: unknown, wrong: ReadonlySet<string>, pointer = ""): unknown {
  if (wrong.has(pointer)) return undefined;
  if (Array.isArray(value)) return value.map((item, i) => draftOf(item, wrong, `${pointer}/${i}`));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, draftOf(item, wrong, `${pointer}/${escapePointer(key)}`)]),
  );
}

export function escapePointer(key: string): string {
  return key.replaceAll("~", "~0").replaceAll("/", "~1");
}
