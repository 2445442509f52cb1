import { suggestion } from "../did-you-mean.ts";
import type { Path } from "../manifest-error.ts";
import type { YamlDocument } from "../read-documents.ts";
import { checkUnique, type Drafts, type Report } from "./drafts.ts";

interface DraftedBinding {
  readonly service?: string | undefined;
  readonly version?: string | undefined;
}

/** Each binding names a version of its service, and a service is bound once. */
export function checkBindings(
  source: YamlDocument,
  path: Path,
  bindings: readonly (DraftedBinding | undefined)[] | undefined,
  drafts: Drafts,
  report: Report,
): void {
  if (bindings === undefined) return;
  const names = drafts.versions.flatMap((v) => v.draft.metadata?.name ?? []);
  checkUnique(
    bindings.map((b, i) => [b?.service, (m) => report(source, [...path, i, "service"], m)]),
    "binding of",
  );
  for (const [i, binding] of bindings.entries()) {
    if (binding?.version === undefined) continue;
    const at = [...path, i, "version"];
    const version = drafts.versions.find((v) => v.draft.metadata?.name === binding.version)?.draft;
    if (version === undefined) {
      const hint = suggestion(binding.version, names);
      report(source, at, `there is no ServiceVersion ${JSON.stringify(binding.version)}${hint}`);
      continue;
    }
    const service = version.spec?.service;
    if (service === undefined || binding.service === undefined || service === binding.service) continue;
    report(source, at, `${binding.version} is a version of ${service}, not of ${binding.service}`);
  }
}
