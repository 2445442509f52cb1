import { createFileRegistry, type DescFile, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type FileDescriptorProto, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { Fault } from "../../fault/fault.ts";
import { compileService } from "../../merge-plan/compile-method.ts";
import type { MethodPlan } from "../../merge-plan/method-plan.ts";
import type { PlanWords } from "./thread-words.ts";

/** A plan cannot be sent, being full of functions: what it is made from can. */
export function planToWords({ method }: MethodPlan): Pick<PlanWords, "descriptors" | "service" | "method"> {
  const file: FileDescriptorProto[] = [];
  addFiles(method.parent.file, new Set(), file);
  const descriptors = toBinary(FileDescriptorSetSchema, { $typeName: "google.protobuf.FileDescriptorSet", file });
  return { descriptors, service: method.parent.typeName, method: method.name };
}

export function planFromWords({ descriptors, service, method }: PlanWords): MethodPlan {
  const desc = createFileRegistry(fromBinary(FileDescriptorSetSchema, descriptors)).getService(service);
  const plan = desc && compileService(desc).get(method);
  if (plan === undefined)
    throw new Fault("internal", `compile ${service}/${method} in a merge thread: it is not there`);
  return plan;
}

/** A file stands behind those that it imports. */
function addFiles(file: DescFile, seen: Set<DescFile>, into: FileDescriptorProto[]): void {
  if (seen.has(file)) return;
  seen.add(file);
  for (const imported of file.dependencies) addFiles(imported, seen, into);
  into.push(file.proto);
}
