import { SERVICE_VERSION_RULE, serviceVersionName } from "../../mesh/service-version.ts";
import { parseSize, SIZE_RULE } from "../value/quantity.ts";
import { templateHash } from "../value/template-hash.ts";
import { checkUnique, type Drafts, type Report } from "./drafts.ts";

const NAME_PATTERN = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** Service versions: their names are made from their templates, so that no template changes under its name. */
export function checkVersions(drafts: Drafts, report: Report): void {
  checkUnique(
    drafts.versions.map(({ source, draft }) => [draft.metadata?.name, (m) => report(source, ["metadata", "name"], m)]),
    "ServiceVersion",
  );
  for (const { source, draft } of drafts.versions) {
    const name = draft.metadata?.name;
    const template = draft.spec?.template;
    if (name !== undefined && template !== undefined) {
      const hash = templateHash((source.value as { spec: { template: unknown } }).spec.template);
      const right = `${name.replace(/-?[0-9a-f]{8}$/, "")}-${hash}`;
      if (serviceVersionName(name) === undefined) {
        const found = `found ${JSON.stringify(name)}; allowed: ${SERVICE_VERSION_RULE}`;
        const meant = serviceVersionName(right) === undefined ? "" : `; its name is ${right}`;
        report(source, ["metadata", "name"], `${found}${meant}`);
      } else if (!name.endsWith(`-${hash}`)) {
        report(source, ["metadata", "name"], `the template's hash is ${hash}, so its name is ${right}`);
      }
    }
    if (template !== undefined && (template.module === undefined) === (template.command === undefined)) {
      const raw = (source.value as { spec: { template: Record<string, unknown> } }).spec.template;
      const both = "module" in raw && "command" in raw;
      if (both || !("module" in raw || "command" in raw)) {
        report(
          source,
          ["spec", "template"],
          both ? "either module or command, not both" : "needs a module or a command",
        );
      }
    }
    for (const variable of Object.keys(template?.env ?? {})) {
      if (NAME_PATTERN.test(variable)) continue;
      report(source, ["spec", "template", "env", variable], "is not a name of an environment variable");
    }
    const limit = draft.spec?.memoryLimit;
    if (limit !== undefined && (parseSize(limit) ?? 0) === 0) {
      report(source, ["spec", "memoryLimit"], `found ${JSON.stringify(limit)}; allowed: ${SIZE_RULE}`);
    }
  }
}
