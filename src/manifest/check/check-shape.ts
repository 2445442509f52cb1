import type { TSchema } from "typebox";
import { Settings } from "typebox/system";
import { Errors } from "typebox/value";
import { suggestion } from "../did-you-mean.ts";
import type { ManifestError, Path } from "../manifest-error.ts";
import type { YamlDocument } from "../read-documents.ts";
import { ruleOfPattern } from "../schema/name-rule.ts";
import { draftOf } from "./draft.ts";

// TypeBox stops at eight, which would hide the ninth mistake.
Settings.Set({ maxErrors: 10_000 });

/** What TypeBox says of one mistake; the parts that are used of each keyword. */
interface ShapeError {
  readonly keyword: string;
  readonly instancePath: string;
  readonly params: {
    readonly type?: string | readonly string[];
    readonly allowedValues?: readonly unknown[];
    readonly allowedValue?: unknown;
    readonly pattern?: string;
    readonly limit?: number;
    readonly comparison?: string;
    readonly requiredProperties?: readonly string[];
    readonly additionalProperties?: readonly string[];
  };
  readonly message: string;
}

/** Compares a document with its schema. What is of the wrong type is missing in the draft. */
export function checkShape(schema: TSchema, document: YamlDocument): { draft: unknown; errors: ManifestError[] } {
  const errors: ManifestError[] = [];
  const wrong = new Set<string>();
  for (const e of Errors(schema, document.value) as unknown as ShapeError[]) {
    const path = pathOf(e.instancePath, document.value);
    const found = describe(valueAt(document.value, path));
    switch (e.keyword) {
      case "boolean":
        // The same unknown key again, seen from below.
        break;
      case "additionalProperties": {
        const known = Object.keys(schemaAt(schema, path)?.properties ?? {});
        for (const key of e.params.additionalProperties ?? []) {
          const allowed = `allowed: ${known.join(", ")}`;
          errors.push(document.error([...path, key], `unknown key; ${allowed}${suggestion(key, known)}`, true));
        }
        break;
      }
      case "required":
        for (const key of e.params.requiredProperties ?? []) {
          errors.push(document.error([...path, key], "is missing"));
        }
        break;
      case "type": {
        wrong.add(e.instancePath);
        const type = [e.params.type].flat().join(" or ");
        const quote = type === "string" && /^(number|true|false)/.test(found) ? ": put it in quotes" : "";
        errors.push(document.error(path, `found ${found}; allowed: ${type}${quote}`));
        break;
      }
      case "enum":
      case "const": {
        wrong.add(e.instancePath);
        const allowed = (e.params.allowedValues ?? [e.params.allowedValue]).map(String);
        const word = valueAt(document.value, path);
        const meant = typeof word === "string" ? suggestion(word, allowed) : "";
        errors.push(document.error(path, `found ${found}; allowed: ${allowed.join(", ")}${meant}`));
        break;
      }
      case "pattern":
        // Kept in the draft: whoever refers to a thing by its wrong name should not be told that it does not exist.
        errors.push(document.error(path, `found ${found}; allowed: ${ruleOfPattern(e.params.pattern ?? "")}`));
        break;
      case "minimum":
      case "maximum":
        wrong.add(e.instancePath);
        errors.push(document.error(path, `found ${found}; allowed: ${e.params.comparison} ${e.params.limit}`));
        break;
      default:
        errors.push(document.error(path, `found ${found}: ${e.message}`));
    }
  }
  return { draft: draftOf(document.value, wrong), errors };
}

/** A JSON pointer as a path: a part is a number where the value has a list. */
function pathOf(pointer: string, root: unknown): Path {
  const path: (string | number)[] = [];
  let value = root;
  for (const part of pointer.split("/").slice(1)) {
    const key = part.replaceAll("~1", "/").replaceAll("~0", "~");
    path.push(Array.isArray(value) ? Number(key) : key);
    value = valueAt(value, path.slice(-1));
  }
  return path;
}

function valueAt(root: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (value, key) => (typeof value === "object" && value !== null ? (value as Record<string, unknown>)[key] : undefined),
    root,
  );
}

interface SchemaNode {
  readonly properties?: Record<string, SchemaNode>;
  readonly items?: SchemaNode;
}

function schemaAt(schema: TSchema, path: Path): SchemaNode | undefined {
  return path.reduce<SchemaNode | undefined>(
    (node, key) => (typeof key === "number" ? node?.items : node?.properties?.[key]),
    schema as SchemaNode,
  );
}

/** `"text"`, `number 15`, `nothing`, `a list`. */
function describe(value: unknown): string {
  if (value === null || value === undefined) return "nothing";
  if (typeof value === "number") return `number ${value}`;
  if (typeof value === "string") return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value);
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : `a list of ${value.length}`;
  return typeof value === "object" ? "a map" : String(value);
}
