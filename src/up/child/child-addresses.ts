/**
 * Where the children were, for the next start: on their old addresses the route table in force is right at once, and
 * nothing needs to be published and verified anew. Only a hint: a child whose port is taken gets another one.
 */
import { readTextIfThere, writeDurableFileSync } from "../../process/durable-file.ts";
import type { ReadyAddresses } from "../../process/ready-line.ts";
import { object, string } from "../control/read-json.ts";

export class ChildAddressFile {
  readonly #file: string;
  readonly #addresses: Map<string, ReadyAddresses>;

  constructor(file: string) {
    this.#file = file;
    this.#addresses = readAddresses(file);
  }

  of(child: string): ReadyAddresses | undefined {
    return this.#addresses.get(child);
  }

  keep(child: string, addresses: ReadyAddresses): void {
    if (JSON.stringify(this.#addresses.get(child)) === JSON.stringify(addresses)) return;
    this.#addresses.set(child, addresses);
    writeDurableFileSync(this.#file, `${JSON.stringify(Object.fromEntries(this.#addresses), null, 2)}\n`);
  }

  /** A version that is gone for good need not be remembered. */
  forget(child: string): void {
    this.#addresses.delete(child);
  }
}

function readAddresses(file: string): Map<string, ReadyAddresses> {
  const found = new Map<string, ReadyAddresses>();
  try {
    for (const [child, value] of Object.entries(object(JSON.parse(readTextIfThere(file) ?? "{}"), file))) {
      const addresses = Object.entries(object(value, `${file}: ${child}`));
      found.set(child, Object.fromEntries(addresses.map(([name, at]) => [name, string(at, `${file}: ${child}`)])));
    }
  } catch {
    // A hint that cannot be read is none.
    found.clear();
  }
  return found;
}
