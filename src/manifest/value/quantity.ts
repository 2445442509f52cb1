const UNIT_MS: Record<string, number> = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000, ms: 1 };

export const DURATION_RULE = "a duration with its unit, such as 500ms, 10s, 1m30s or 7d";

/** Milliseconds, or `undefined`. A bare number is refused: nobody knows whether 30 is seconds or milliseconds. */
export function parseDuration(text: string): number | undefined {
  const match = /^(?:(\d{1,5})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m(?!s))?(?:(\d{1,6})s)?(?:(\d{1,9})ms)?$/.exec(text);
  if (match === null || text === "") return undefined;
  const parts = ["d", "h", "m", "s", "ms"].map((unit, i) => Number(match[i + 1] ?? 0) * UNIT_MS[unit]!);
  return parts.reduce((sum, part) => sum + part, 0);
}

const UNIT_BYTES: Record<string, number> = {
  "": 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
};

export const SIZE_RULE = "a size as Kubernetes writes it, such as 1Mi or 512Mi";

/** Bytes, or `undefined`. */
export function parseSize(text: string): number | undefined {
  const match = /^(\d{1,15})(Ki|Mi|Gi|Ti|k|M|G|T)?$/.exec(text);
  if (match === null) return undefined;
  const bytes = Number(match[1]) * UNIT_BYTES[match[2] ?? ""]!;
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}
