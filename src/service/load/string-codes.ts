/**
 * Gives each distinct string a number, for states that keep codes in typed arrays. Batches of a scan may share one
 * dictionary or bring one each; either way a string has one code in the state:
 *
 *     const toCode = origins.codesFor(column.dictionary);
 *     for (let i = 0; i < batch.rows; i++) origin[row++] = toCode[column.codes[i]!]!;
 */
export class StringCodes {
  readonly #codes = new Map<string, number>();
  readonly #strings: string[] = [];
  #dictionary: readonly string[] | undefined;
  #translation = new Uint32Array();

  /** The state's code of each entry of a batch's dictionary. */
  codesFor(dictionary: readonly string[]): Uint32Array {
    if (dictionary === this.#dictionary) return this.#translation;
    this.#translation = Uint32Array.from(dictionary, (text) => this.#codeFor(text));
    this.#dictionary = dictionary;
    return this.#translation;
  }

  /** undefined: no row has it. */
  codeOf(text: string): number | undefined {
    return this.#codes.get(text);
  }

  /** By code. */
  get strings(): readonly string[] {
    return this.#strings;
  }

  #codeFor(text: string): number {
    const known = this.#codes.get(text);
    if (known !== undefined) return known;
    const code = this.#strings.length;
    this.#codes.set(text, code);
    this.#strings.push(text);
    return code;
  }
}
