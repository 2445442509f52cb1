import { Fault } from "../fault/fault.ts";

/** Everything that is wrong with a service's descriptors, gathered so that its author sees it in one go. */
export class ServiceErrors {
  readonly #errors: { readonly pointer: string; readonly detail: string }[] = [];

  /** `where` is the full name of a field, enum value or method. */
  add(where: string, detail: string): undefined {
    // Two methods that share a message would report it twice.
    if (this.#errors.some((error) => error.pointer === where && error.detail === detail)) return;
    this.#errors.push({ pointer: where, detail });
  }

  get count(): number {
    return this.#errors.length;
  }

  /** Faults: `invalid-service`, if there is any error. */
  throwIfAny(attempted: string): void {
    if (this.count === 0) return;
    const listed = this.#errors.map(({ pointer, detail }) => `${pointer}: ${detail}`).join("; ");
    throw new Fault("invalid-service", `${attempted}: ${listed}`, { errors: this.#errors });
  }
}
