/** Which lists of a response may travel as columns: what kit and gateway must agree on. */
import type { DescField } from "@bufbuild/protobuf";
import { FeatureSet_FieldPresence } from "@bufbuild/protobuf/wkt";
import type { FieldRecipe, MessageRecipe } from "./method-plan.ts";

export interface ColumnarList {
  readonly field: DescField;
  /** Fields of the elements that have columns; those that the gateway works out itself need none. */
  readonly columns: readonly DescField[];
}

export function columnarLists({ fields }: MessageRecipe): readonly ColumnarList[] {
  return fields.flatMap((recipe) => {
    const columns = columnsOf(recipe);
    return columns?.every(isFlat) ? [{ field: recipe.field, columns }] : [];
  });
}

function columnsOf(recipe: FieldRecipe): readonly DescField[] | undefined {
  switch (recipe.kind) {
    case "group":
      return recipe.element.fields
        .filter(({ kind }) => kind !== "avg" && kind !== "count-of")
        .map((inner) => inner.field);
    case "sorted":
      return recipe.field.message!.fields;
    default:
      return undefined;
  }
}

function isFlat(field: DescField): boolean {
  const isSingle = field.fieldKind === "scalar" || (field.fieldKind === "enum" && field.enum.open);
  return isSingle && field.oneof === undefined && field.presence !== FeatureSet_FieldPresence.LEGACY_REQUIRED;
}
