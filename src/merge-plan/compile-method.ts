/**
 * From the annotations in a service's descriptors to merge plans.
 *
 * A plan is made when a service version is loaded, never while a query waits, and whatever cannot be merged without a
 * guess refuses the version there and then, naming message and field: a method that would answer wrongly under some
 * sharding must not be reachable at all.
 */
import { type DescMethod, type DescService, getOption } from "@bufbuild/protobuf";
import { type MethodRule, method as methodOption } from "../wire/generated/skynetes/v1/merge_pb.ts";
import { compileFilters } from "./compile-filters.ts";
import { compileRecipe } from "./compile-recipe.ts";
import { compileRoles } from "./compile-roles.ts";
import { compileSortColumns } from "./compile-sort-columns.ts";
import { compileTop } from "./compile-top.ts";
import type { MethodPlan, RequestRoles, ResponseMerge } from "./method-plan.ts";
import { ServiceErrors } from "./service-errors.ts";

/** Health, reflection and the mesh's own services stand beside the author's, at the same ports. */
const RESERVED = /^(grpc|skynetes)\./;

/** Faults: `invalid-service` listing every error of the method. */
export function compileMethod(method: DescMethod): MethodPlan {
  const errors = new ServiceErrors();
  const plan = planOf(method, errors);
  errors.throwIfAny(`compile ${nameOf(method)}`);
  return plan!;
}

/** Plans by method name. Faults: `invalid-service` listing every error of every method. */
export function compileService(service: DescService): ReadonlyMap<string, MethodPlan> {
  const errors = new ServiceErrors();
  if (RESERVED.test(service.typeName)) {
    errors.add(service.typeName, "packages grpc and skynetes are served by the mesh itself");
  }
  const plans = new Map<string, MethodPlan>();
  for (const method of service.methods) {
    const plan = planOf(method, errors);
    if (plan !== undefined) plans.set(method.name, plan);
  }
  errors.throwIfAny(`compile ${service.typeName}`);
  return plans;
}

function nameOf(method: DescMethod): string {
  return `${method.parent.typeName}/${method.name}`;
}

function planOf(method: DescMethod, errors: ServiceErrors): MethodPlan | undefined {
  if (method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming") {
    return errors.add(nameOf(method), "a stream of requests cannot be scattered");
  }
  const rule = getOption(method, methodOption);
  const before = errors.count;
  const roles = compileRoles(method.input, errors);
  const merge = method.methodKind === "unary" ? mergeMessage(method, rule, errors) : mergeRows(method, rule, errors);
  const filters = compileFilters(method.input, rule, errors);
  if (merge !== undefined) checkRolesAgainstMerge(method, roles, merge, errors);
  const top = merge?.kind === "message" ? compileTop(merge.recipe, roles, errors) : undefined;
  if (merge === undefined || errors.count > before) return undefined;
  return {
    method,
    roles,
    merge: merge.kind === "message" && top !== undefined ? { ...merge, top } : merge,
    deterministic: !rule.nondeterministic,
    snapshotDependent: rule.snapshotDependent,
    filters,
  };
}

function mergeMessage(method: DescMethod, rule: MethodRule, errors: ServiceErrors): ResponseMerge {
  if (rule.sorted.length > 0) errors.add(nameOf(method), "`sorted` is for server-streaming methods");
  return { kind: "message", recipe: compileRecipe(method.output, errors) };
}

function mergeRows(method: DescMethod, rule: MethodRule, errors: ServiceErrors): ResponseMerge | undefined {
  if (rule.sorted.length === 0) {
    return errors.add(nameOf(method), "a streaming method must declare the order of its rows with `sorted`");
  }
  const by = compileSortColumns(method.output, rule.sorted, nameOf(method), errors);
  return { kind: "sorted", row: method.output, by };
}

/** A role that nothing acts on would be a promise broken in silence. */
function checkRolesAgainstMerge(method: DescMethod, roles: RequestRoles, merge: ResponseMerge, errors: ServiceErrors) {
  const hasTop = merge.kind === "message" && merge.recipe.fields.some((field) => field.kind === "group" && field.isTop);
  const isLimited = hasTop || merge.kind === "sorted" || merge.recipe.fields.some((field) => field.kind === "sorted");
  for (const field of [roles.limit, roles.offset]) {
    if (field !== undefined && !isLimited) {
      errors.add(
        field.toString(),
        `its role limits rows, but ${nameOf(method)} has neither sorted rows nor top groups`,
      );
    }
  }
  for (const field of [roles.order?.field, roles.keyFilter]) {
    if (field !== undefined && !hasTop) {
      errors.add(field.toString(), `its role chooses groups, but ${nameOf(method)} has no top groups`);
    }
  }
}
