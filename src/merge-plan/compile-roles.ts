import { type DescField, type DescMessage, getOption, hasOption, ScalarType } from "@bufbuild/protobuf";
import { Role, role } from "../wire/generated/skynetes/v1/merge_pb.ts";
import type { RequestRoles } from "./method-plan.ts";
import type { ServiceErrors } from "./service-errors.ts";

const COUNTS = new Set([ScalarType.INT32, ScalarType.UINT32, ScalarType.INT64, ScalarType.UINT64]);

/** What the gateway may rewrite in a request. */
export function compileRoles(request: DescMessage, errors: ServiceErrors): RequestRoles {
  const found = new Map<Role, DescField>();
  for (const field of request.fields) {
    const meaning = getOption(field, role);
    if (meaning === Role.UNSPECIFIED) continue;
    const earlier = found.get(meaning);
    if (earlier !== undefined) errors.add(field.toString(), `field ${earlier.name} has the same role`);
    if (field.oneof !== undefined) errors.add(field.toString(), "a member of a oneof cannot have a role");
    const expected = wrongType(field, meaning);
    if (expected !== undefined) errors.add(field.toString(), `its role needs ${expected}`);
    else found.set(meaning, field);
  }
  refuseNestedRoles(request, errors);
  const order = found.get(Role.ORDER);
  return {
    ...optional("limit", found.get(Role.LIMIT)),
    ...optional("offset", found.get(Role.OFFSET)),
    ...optional("keyFilter", found.get(Role.KEY_FILTER)),
    ...(order?.fieldKind === "enum" ? { order: { field: order, choices: order.enum } } : {}),
  };
}

function optional<K extends string, T>(key: K, value: T | undefined): { [P in K]?: T } {
  return value === undefined ? {} : ({ [key]: value } as { [P in K]?: T });
}

function wrongType(field: DescField, meaning: Role): string | undefined {
  switch (meaning) {
    case Role.LIMIT:
    case Role.OFFSET:
      return field.fieldKind === "scalar" && COUNTS.has(field.scalar) ? undefined : "int32, uint32, int64 or uint64";
    case Role.ORDER:
      return field.fieldKind === "enum" ? undefined : "a singular enum";
    case Role.KEY_FILTER:
      return field.fieldKind === "list" && field.listKind !== "message" ? undefined : "a repeated scalar or enum";
    default:
      return "a version of the gateway that knows it";
  }
}

/** The gateway rewrites fields of the request itself, so a role deeper down would be ignored. */
function refuseNestedRoles(request: DescMessage, errors: ServiceErrors): void {
  const seen = new Set([request]);
  const pending = request.fields.flatMap(messageOf);
  for (let message = pending.pop(); message !== undefined; message = pending.pop()) {
    if (seen.has(message)) continue;
    seen.add(message);
    for (const field of message.fields) {
      if (hasOption(field, role))
        errors.add(field.toString(), `a role must be on a field of ${request.typeName} itself`);
      pending.push(...messageOf(field));
    }
  }
}

function messageOf(field: DescField): DescMessage[] {
  return field.message === undefined ? [] : [field.message];
}
