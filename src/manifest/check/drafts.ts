import type { ManifestError, Path } from "../manifest-error.ts";
import type { YamlDocument } from "../read-documents.ts";
import type { MeshDocument } from "../schema/mesh-schema.ts";
import type { ServiceVersionDocument } from "../schema/service-version-schema.ts";
import type { SnapshotDocument } from "../schema/snapshot-schema.ts";
import type { Draft } from "./draft.ts";

/** All documents of a file by kind, each with the way back to its text. */
export interface Drafts {
  readonly meshes: readonly Drafted<MeshDocument>[];
  readonly versions: readonly Drafted<ServiceVersionDocument>[];
  readonly snapshots: readonly Drafted<SnapshotDocument>[];
}

export interface Drafted<T> {
  readonly source: YamlDocument;
  readonly draft: Draft<T>;
}

/** Collects what the checks find. */
export type Report = (source: YamlDocument, path: Path, message: string) => void;

export function reportTo(errors: ManifestError[]): Report {
  return (source, path, message) => errors.push(source.error(path, message));
}

/** Reports every name after its first use. Names that differ only by case are one where `ignoreCase` is said. */
export function checkUnique(
  names: Iterable<readonly [name: string | undefined, report: (message: string) => void]>,
  what: string,
  ignoreCase = false,
): void {
  const seen = new Set<string>();
  for (const [name, report] of names) {
    if (name === undefined) continue;
    const key = ignoreCase ? name.toLowerCase() : name;
    if (seen.has(key)) report(`there is another ${what} ${JSON.stringify(name)}`);
    seen.add(key);
  }
}
