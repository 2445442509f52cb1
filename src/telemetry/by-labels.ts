/** Combinations of one metric's labels that are told apart; as many as OpenTelemetry allows. */
const COMBINATIONS_MAX = 2_000;
/** What all further ones are counted under, by OpenTelemetry's convention. */
const OVERFLOW = { "otel.metric.overflow": true };

export type LabelValues = Readonly<Record<string, string | boolean>>;

interface Branch<T> {
  number: T | undefined;
  readonly next: Map<string, Branch<T>>;
}

/** One number for each combination of values of some labels, found by one map for each label. */
export class ByLabels<T> {
  readonly entries: [LabelValues, T][] = [];
  readonly #labels: readonly string[];
  readonly #make: () => T;
  readonly #root: Branch<T> = branch();
  #rest: T | undefined;

  constructor(labels: readonly string[], make: () => T) {
    this.#labels = labels;
    this.#make = make;
  }

  /** `values` in the order of the labels. */
  at(values: readonly string[]): T {
    let at = this.#root;
    for (const value of values) {
      const next = at.next.get(value);
      if (next === undefined) return this.#add(values);
      at = next;
    }
    return at.number ?? this.#add(values);
  }

  #add(values: readonly string[]): T {
    if (this.entries.length >= COMBINATIONS_MAX) return this.#overflow();
    let at = this.#root;
    for (const value of values) {
      const next = at.next.get(value) ?? branch();
      at.next.set(value, next);
      at = next;
    }
    const number = this.#make();
    at.number = number;
    this.entries.push([Object.fromEntries(this.#labels.map((label, i) => [label, values[i] ?? ""])), number]);
    return number;
  }

  #overflow(): T {
    if (this.#rest === undefined) {
      this.#rest = this.#make();
      this.entries.push([OVERFLOW, this.#rest]);
    }
    return this.#rest;
  }
}

function branch<T>(): Branch<T> {
  return { number: undefined, next: new Map() };
}
