import { Fault } from "../../fault/fault.ts";

/**
 * Readers of the control files: `unknown` in, a value of ours out, or a fault that names the place. The files are ours,
 * but a disk or a hand may have changed them, and nothing may act on half of them.
 */
export function object(value: unknown, path: string): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) wrong(path, "an object", value);
  return value as Readonly<Record<string, unknown>>;
}

export function array(value: unknown, path: string): readonly unknown[] {
  if (!Array.isArray(value)) wrong(path, "a list", value);
  return value as readonly unknown[];
}

export function string(value: unknown, path: string): string {
  if (typeof value !== "string") wrong(path, "a text", value);
  return value as string;
}

export function number(value: unknown, path: string): number {
  if (typeof value !== "number") wrong(path, "a number", value);
  return value as number;
}

export function boolean(value: unknown, path: string): boolean {
  if (typeof value !== "boolean") wrong(path, "true or false", value);
  return value as boolean;
}

export function bigint(value: unknown, path: string): bigint {
  const text = string(value, path);
  if (!/^\d+$/.test(text)) wrong(path, "a whole number as text", value);
  return BigInt(text);
}

export function optional<T>(value: unknown, path: string, read: (value: unknown, path: string) => T): T | undefined {
  return value === undefined ? undefined : read(value, path);
}

function wrong(path: string, expected: string, value: unknown): never {
  throw new Fault("data-corrupt", `read ${path}: expected ${expected}, found ${JSON.stringify(value) ?? "nothing"}`);
}
