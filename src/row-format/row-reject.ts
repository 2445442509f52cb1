/** Thrown while a record is decoded: why it can be no row. Not an Error, since a stack for each poison record costs. */
export class RowReject {
  readonly reason: string;

  constructor(reason: string) {
    this.reason = reason;
  }
}

/** A piece of foreign text for a reason: short, and with nothing in it that a terminal would obey. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
}
