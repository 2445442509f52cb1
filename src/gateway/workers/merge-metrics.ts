/**
 * The metrics of several workers as those of one gateway: in Prometheus's text format, series with the same name and
 * labels are added up. What is the same in all of them, and no amount, is told once.
 */

/** Gauges that are no amounts: the least, or the greatest, is the gateway's. */
const LEAST = /_epoch$/;
const GREATEST = /_age_seconds$|_info$/;

interface Family {
  readonly comments: string[];
  /** By name and labels. */
  readonly series: Map<string, number>;
}

export function mergeMetrics(texts: readonly string[]): string {
  const families = new Map<string, Family>();
  for (const text of texts) {
    let family: Family = { comments: [], series: new Map() };
    for (const line of text.split("\n")) {
      const comment = /^# (?:HELP|TYPE|UNIT) (\S+)/.exec(line);
      if (comment !== null) {
        family = families.get(comment[1] as string) ?? { comments: [], series: new Map() };
        families.set(comment[1] as string, family);
        if (!family.comments.includes(line)) family.comments.push(line);
        continue;
      }
      const at = line.lastIndexOf(" ");
      if (at <= 0 || line.startsWith("#")) continue;
      const key = line.slice(0, at);
      const value = Number(line.slice(at + 1));
      const known = family.series.get(key);
      family.series.set(key, known === undefined ? value : together(key, known, value));
    }
  }
  const lines = [...families.values()].flatMap(({ comments, series }) => {
    return [...comments, ...[...series].map(([key, value]) => `${key} ${shown(value)}`)];
  });
  return `${lines.join("\n")}\n`;
}

function together(key: string, a: number, b: number): number {
  const name = key.replace(/\{.*$/s, "");
  if (LEAST.test(name)) return Math.min(a, b);
  return GREATEST.test(name) ? Math.max(a, b) : a + b;
}

function shown(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  return Number.isFinite(value) ? String(value) : value > 0 ? "+Inf" : "-Inf";
}
