import { create, type DescFile, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";

/** A file and all that it imports, each once, imports before importers, options included. */
export function filesOf(file: DescFile): readonly DescFile[] {
  const seen = new Set<DescFile>();
  const visit = (next: DescFile) => {
    if (seen.has(next)) return;
    for (const dependency of next.dependencies) visit(dependency);
    seen.add(next);
  };
  visit(file);
  return [...seen];
}

/** A google.protobuf.FileDescriptorSet, as gateways get it through the route table. */
export function descriptorSet(file: DescFile): Uint8Array {
  return toBinary(
    FileDescriptorSetSchema,
    create(FileDescriptorSetSchema, { file: filesOf(file).map((f) => f.proto) }),
  );
}

/** For server reflection. */
export function descriptorFiles(files: readonly DescFile[]): readonly Buffer[] {
  const all = new Set(files.flatMap(filesOf));
  return [...all].map((file) => Buffer.from(toBinary(FileDescriptorProtoSchema, file.proto)));
}
