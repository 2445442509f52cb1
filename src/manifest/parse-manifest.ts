import { dirname, resolve } from "node:path";
import type { TSchema } from "typebox";
import type { RecordSchema } from "../mesh/table-spec.ts";
import { buildManifest, type CheckedDocuments } from "./build-manifest.ts";
import { checkFormats } from "./check/check-formats.ts";
import { checkMesh } from "./check/check-mesh.ts";
import { checkShape } from "./check/check-shape.ts";
import { checkSnapshots } from "./check/check-snapshots.ts";
import { checkStore } from "./check/check-store.ts";
import { checkTables } from "./check/check-tables.ts";
import { checkTopics } from "./check/check-topics.ts";
import { checkVersions } from "./check/check-versions.ts";
import { type Drafted, type Drafts, reportTo } from "./check/drafts.ts";
import { suggestion } from "./did-you-mean.ts";
import type { Manifest } from "./manifest.ts";
import { invalidManifest, type ManifestError } from "./manifest-error.ts";
import { readDocuments, type YamlDocument } from "./read-documents.ts";
import { API_VERSION } from "./schema/document-schema.ts";
import { type MeshDocument, MeshSchema } from "./schema/mesh-schema.ts";
import { type ServiceVersionDocument, ServiceVersionSchema } from "./schema/service-version-schema.ts";
import { type SnapshotDocument, SnapshotSchema } from "./schema/snapshot-schema.ts";

const SCHEMAS = {
  Mesh: MeshSchema,
  ServiceVersion: ServiceVersionSchema,
  Snapshot: SnapshotSchema,
} as const satisfies Record<string, TSchema>;

type Kind = keyof typeof SCHEMAS;

export interface ManifestSource {
  /** For messages, and where relative paths start. */
  readonly file: string;
  /** Says whether a seed's file is there; absent: nobody looks. */
  readonly seedExists?: (directory: string, file: string) => boolean;
  /** Reads a topic's schema; throws where it cannot. */
  readonly readSchema?: ReadSchema;
}

/** Text to manifest: read → shape → meaning → build. Fault `invalid-manifest` with every mistake in it. */
export function parseManifest(text: string, { file, seedExists, readSchema = noSchemas }: ManifestSource): Manifest {
  const directory = dirname(resolve(file));
  const { documents, errors } = readDocuments(text);

  const byKind: Record<Kind, Drafted<unknown>[]> = { Mesh: [], ServiceVersion: [], Snapshot: [] };
  for (const source of documents) {
    const kind = kindOf(source, errors);
    if (kind === undefined) continue;
    const shape = checkShape(SCHEMAS[kind], source);
    errors.push(...shape.errors);
    // A document that is no map at all has nothing to compare.
    byKind[kind].push({ source, draft: shape.draft ?? {} });
  }
  const drafts: Drafts = {
    meshes: byKind.Mesh as Drafted<MeshDocument>[],
    versions: byKind.ServiceVersion as Drafted<ServiceVersionDocument>[],
    snapshots: byKind.Snapshot as Drafted<SnapshotDocument>[],
  };

  const report = reportTo(errors);
  const [mesh, ...more] = drafts.meshes;
  if (mesh === undefined && documents.length > 0) report(documents[0]!, [], "the file has no document of kind Mesh");
  for (const { source } of more) report(source, ["kind"], "there is another Mesh; a file describes one");
  const schemas = new Map<string, RecordSchema>();
  for (const drafted of drafts.meshes) {
    for (const [topic, schema] of checkFormats(drafted, (path) => readSchema(directory, path), report)) {
      schemas.set(topic, schema);
    }
    checkMesh(drafted, drafts, report);
    checkTables(drafted, report);
    checkTopics(drafted, report);
    checkStore(drafted, report);
    for (const [i, topic] of (drafted.draft.spec?.topics ?? []).entries()) {
      const seed = topic?.seed?.file;
      if (seed === undefined || seedExists === undefined || seedExists(directory, seed)) continue;
      report(drafted.source, ["spec", "topics", i, "seed", "file"], `there is no file ${JSON.stringify(seed)}`);
    }
  }
  checkVersions(drafts, report);
  checkSnapshots(drafts, report);

  if (errors.length > 0) throw invalidManifest(file, errors);
  const documentOf = <T>(drafted: Drafted<T>) => drafted.source.value as T;
  const checked: CheckedDocuments = {
    mesh: documentOf(mesh!),
    schemas,
    versions: drafts.versions.map(documentOf),
    snapshots: drafts.snapshots.map(documentOf),
  };
  return buildManifest(checked, directory);
}

export type ReadSchema = (directory: string, file: string) => Uint8Array;

const noSchemas: ReadSchema = () => {
  throw new Error("files are not read here");
};

/** Which schema a document is compared with; without one, only that is said of it. */
function kindOf(source: YamlDocument, errors: ManifestError[]): Kind | undefined {
  const value = source.value as { apiVersion?: unknown; kind?: unknown } | null;
  if (typeof value !== "object" || Array.isArray(value)) {
    errors.push(source.error([], "is not a map with apiVersion, kind, metadata and spec"));
    return undefined;
  }
  const kind = value?.kind;
  if (typeof kind === "string" && Object.hasOwn(SCHEMAS, kind)) return kind as Kind;
  const kinds = Object.keys(SCHEMAS);
  const found = kind === undefined ? "is missing" : `found ${JSON.stringify(kind)}`;
  const hint = typeof kind === "string" ? suggestion(kind, kinds) : "";
  errors.push(source.error(["kind"], `${found}; allowed: ${kinds.join(", ")} (apiVersion ${API_VERSION})${hint}`));
  return undefined;
}
