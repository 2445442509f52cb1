import { Array as TArray, Object as TObject, String as TString } from "typebox";
import { named } from "./name-rule.ts";

export const BindingSchema = TObject(
  {
    service: named("service", "package.Service"),
    version: TString({ description: "Name of a ServiceVersion of that service" }),
  },
  { additionalProperties: false },
);

export const BindingsSchema = TArray(BindingSchema, {
  maxItems: 256,
  description: "Which version of each service answers at the snapshot",
});
