import { setImmediate } from "node:timers/promises";

/** Lets the event loop serve others before a long piece of work goes on. */
export function nextTurn(): Promise<void> {
  return setImmediate();
}
