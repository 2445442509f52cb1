import type { DescField } from "@bufbuild/protobuf";
import { type ValueType, valueTypeOf } from "../wire/value-type.ts";

/** Whether a least and a greatest value mean something. For bools that is `all` and `any`. */
export function isComparable(type: ValueType): boolean {
  return type.kind !== "message" && type.kind !== "map" && type.kind !== "bool";
}

/** Why a field cannot be part of a group's key; undefined if it can. */
export function groupKeyProblem(field: DescField): string | undefined {
  if (field.fieldKind === "list" || field.fieldKind === "map") return "is not a single value";
  if (field.oneof !== undefined) return "is a member of a oneof";
  const { kind } = valueTypeOf(field);
  if (kind === "real") return "is a float, whose equality is not that of a key";
  if (kind === "decimal") return "is a Decimal, which writes one number in several ways";
  return kind === "message" ? "is a message" : undefined;
}
