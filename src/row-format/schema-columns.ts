import type { ColumnSpec } from "../mesh/table-spec.ts";
import { type ColumnFit, columnFit, type FieldKind } from "./column-fit.ts";
import type { Misfit } from "./row-codec.ts";
import { RowReject } from "./row-reject.ts";
import type { RowValue } from "./row-value.ts";

/** A field of a record's schema. */
export interface SchemaField {
  /** As the schema writes its type, for messages. */
  readonly type: string;
  /** `undefined`: no column can hold it. */
  readonly kind: FieldKind | undefined;
}

export interface FittedColumn {
  readonly spec: ColumnSpec;
  /** A value of the field, `null` or `undefined` where there is none. Throws `RowReject`, naming the field. */
  read(value: unknown): RowValue;
  /** `null` where there is none. Throws `RowReject`, naming the field. */
  write(value: RowValue): unknown;
}

/** Each column with the field of its name. Fields without a column are not kept: which are kept is what the table says. */
export function fitColumns(
  columns: readonly ColumnSpec[],
  fieldOf: (name: string) => SchemaField | undefined,
): FittedColumn[] | Misfit[] {
  const misfits: Misfit[] = [];
  const fitted: FittedColumn[] = [];
  for (const spec of columns) {
    const field = fieldOf(spec.name);
    const fit = field?.kind === undefined ? undefined : columnFit(spec.type, field.kind);
    if (fit !== undefined) fitted.push(fittedColumn(spec, fit));
    else {
      const reason =
        field === undefined ? "the schema has no such field" : `a field of type ${field.type} is no ${spec.type}`;
      misfits.push({ column: spec.name, reason });
    }
  }
  return misfits.length > 0 ? misfits : fitted;
}

export function areFitted(found: FittedColumn[] | Misfit[]): found is FittedColumn[] {
  return found.every((column) => "spec" in column);
}

function fittedColumn(spec: ColumnSpec, fit: ColumnFit): FittedColumn {
  const named = <In, Out>(convert: (value: In) => Out, value: In): Out => {
    try {
      return convert(value);
    } catch (error) {
      if (error instanceof RowReject) throw new RowReject(`field "${spec.name}": ${error.reason}`);
      throw error;
    }
  };
  return {
    spec,
    read(value) {
      if (value !== null && value !== undefined) return named(fit.read, value);
      if (spec.nullable) return null;
      throw new RowReject(`field "${spec.name}" is missing`);
    },
    write: (value) => (value === null ? null : named(fit.write, value)),
  };
}
