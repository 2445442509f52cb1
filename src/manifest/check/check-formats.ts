import type { ColumnSpec, RecordSchema } from "../../mesh/table-spec.ts";
import { misfits } from "../../row-format/record-format.ts";
import type { MeshDocument } from "../schema/mesh-schema.ts";
import type { TopicDocument } from "../schema/topic-schema.ts";
import { parseColumnType } from "../value/column-type.ts";
import type { Draft } from "./draft.ts";
import type { Drafted, Report } from "./drafts.ts";

type TopicDraft = Draft<TopicDocument>;
type ReportTopic = (path: (string | number)[], message: string) => void;

/** Schemas of topics: that there is one, that it can be read, and that the tables' columns are in it. By topic. */
export function checkFormats(
  { source, draft }: Drafted<MeshDocument>,
  read: (file: string) => Uint8Array,
  report: Report,
): ReadonlyMap<string, RecordSchema> {
  const schemas = new Map<string, RecordSchema>();
  for (const [i, topic] of (draft.spec?.topics ?? []).entries()) {
    if (topic?.format === undefined || topic.name === undefined) continue;
    const schema = schemaOf(topic, read, (path, message) => report(source, ["spec", "topics", i, ...path], message));
    if (schema === undefined) continue;
    schemas.set(topic.name, schema);
    for (const [t, table] of (draft.spec?.tables ?? []).entries()) {
      if (table?.topic !== topic.name) continue;
      const columns = (table.columns ?? []).map(columnOf);
      const known = columns.filter((column) => column !== undefined);
      for (const { column, reason } of misfits({ format: topic.format, schema }, known)) {
        const at = columns.findIndex((c) => c?.name === column);
        if (column === undefined) report(source, ["spec", "topics", i, "schema"], reason);
        else report(source, ["spec", "tables", t, "columns", at], reason);
      }
    }
  }
  return schemas;
}

function schemaOf(
  { format, schema }: TopicDraft,
  read: (file: string) => Uint8Array,
  report: ReportTopic,
): RecordSchema | undefined {
  if (format === "JSON") {
    if (schema !== undefined) report(["schema"], "a JSON topic has none: fields are the table's columns");
    return undefined;
  }
  if (schema === undefined) {
    report(["schema"], `is missing: format ${format} is read by one`);
    return undefined;
  }
  const { file, text, message, registryId } = schema;
  if ((file === undefined) === (text === undefined)) {
    report(["schema"], "either file or text says what it is");
    return undefined;
  }
  if ((format === "Protobuf") !== (message !== undefined)) {
    report(["schema", "message"], format === "Protobuf" ? "is missing" : "is of Protobuf schemas only");
    return undefined;
  }
  const found = text ?? fileText(file!, format === "Protobuf" ? "base64" : "utf8", read, report);
  if (found === undefined) return undefined;
  return {
    text: found,
    ...(message === undefined ? {} : { message }),
    ...(registryId === undefined ? {} : { registryId }),
  };
}

function fileText(
  file: string,
  encoding: "base64" | "utf8",
  read: (file: string) => Uint8Array,
  report: ReportTopic,
): string | undefined {
  try {
    return Buffer.from(read(file)).toString(encoding);
  } catch (error) {
    report(["schema", "file"], `${JSON.stringify(file)} cannot be read: ${(error as Error).message}`);
    return undefined;
  }
}

/** Of what is wrong in itself other checks tell. */
function columnOf(
  column: Draft<MeshDocument["spec"]["tables"][number]["columns"][number]> | undefined,
): ColumnSpec | undefined {
  const type = parseColumnType(column?.type ?? "");
  if (column?.name === undefined || type === undefined) return undefined;
  return { name: column.name, type, nullable: column.nullable ?? false };
}
