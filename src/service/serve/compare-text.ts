/**
 * Order of strings by code points, which is the order of their UTF-8 bytes and DuckDB's. JavaScript's `<` compares
 * UTF-16 units and puts U+FF5E after U+1F600, because the latter starts with a surrogate, 0xD83D.
 */
export function compareText(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return rank(x) - rank(y);
  }
  return a.length - b.length;
}

/** Moves the surrogates above the rest of the basic plane. */
function rank(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}
