import type { DescEnum, DescField, DescMessage, DescMethod } from "@bufbuild/protobuf";

/** How one method's partials become its answer; compiled once from the descriptors of a service version. */
export interface MethodPlan {
  readonly method: DescMethod;
  readonly roles: RequestRoles;
  readonly merge: ResponseMerge;
  readonly deterministic: boolean;
  readonly snapshotDependent: boolean;
  readonly filters: readonly PruningFilter[];
}

export interface RequestRoles {
  readonly limit?: DescField;
  readonly offset?: DescField;
  readonly order?: { readonly field: DescField; readonly choices: DescEnum };
  readonly keyFilter?: DescField;
}

/** Unary methods merge messages, streaming methods merge sorted rows. */
export type ResponseMerge =
  | { readonly kind: "message"; readonly recipe: MessageRecipe; readonly top?: TopRecipe }
  | { readonly kind: "sorted"; readonly row: DescMessage; readonly by: readonly SortColumn[] };

/** One field recipe for every field of the message. */
export interface MessageRecipe {
  readonly message: DescMessage;
  readonly fields: readonly FieldRecipe[];
}

export type FieldRecipe =
  | { readonly kind: "sum" | "min" | "max" | "any" | "all" | "bit-or" | "first" | "concat"; readonly field: DescField }
  | { readonly kind: "key"; readonly field: DescField }
  | { readonly kind: "avg"; readonly field: DescField; readonly sum: DescField; readonly count: DescField }
  | { readonly kind: "sorted"; readonly field: DescField; readonly by: readonly SortColumn[] }
  | {
      readonly kind: "group";
      readonly field: DescField;
      readonly key: readonly DescField[];
      readonly element: MessageRecipe;
      /** The response's `top` says how its groups are chosen. */
      readonly isTop: boolean;
    }
  | { readonly kind: "distinct"; readonly field: DescField }
  | { readonly kind: "count-of"; readonly field: DescField; readonly of: DescField }
  | { readonly kind: "nested"; readonly field: DescField; readonly recipe: MessageRecipe };

export interface SortColumn {
  readonly field: DescField;
  readonly descending: boolean;
}

/** The groups of `field` are chosen by the request's order, limit and offset. At most one in a response. */
export interface TopRecipe {
  readonly field: DescField;
  readonly key: readonly DescField[];
  readonly element: MessageRecipe;
  /** By number of the order enum's value; the entry under `undefined` is the order without one. */
  readonly orders: ReadonlyMap<number | undefined, GroupOrder>;
}

export interface GroupOrder {
  readonly field: DescField;
  readonly descending: boolean;
}

export interface PruningFilter {
  readonly field: DescField;
  readonly table: string;
  readonly column: string;
  readonly operator: "equal" | "at-least" | "below";
}
