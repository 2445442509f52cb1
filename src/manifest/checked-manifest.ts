import type { Manifest } from "./manifest.ts";

/**
 * A manifest that was checked, as JSON, for other processes of the same program on the same machine: to check it again
 * takes a process 0.15 s of modules. The text begins as no YAML of a mesh does.
 */
const BEGINNING = '{"checkedManifest":';

export function checkedManifestText(manifest: Manifest): string {
  return `${BEGINNING}${JSON.stringify(manifest)}}\n`;
}

/** Undefined: the text is another one, to be checked. */
export function checkedManifestOf(text: string): Manifest | undefined {
  return text.startsWith(BEGINNING) ? (JSON.parse(text) as { checkedManifest: Manifest }).checkedManifest : undefined;
}
