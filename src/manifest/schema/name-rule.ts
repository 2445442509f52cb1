import { String as TString } from "typebox";

/**
 * Names become paths, SQL identifiers, DNS labels and route headers, so each has a narrow alphabet. A schema carries the
 * pattern only (it must stay plain JSON Schema), so the words for people are found by it.
 */
export const NAME_RULES = {
  dnsLabel: { pattern: "^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$", rule: "1 to 40 of a-z, 0-9 and '-', first a letter" },
  topic: {
    pattern: "^(?!\\.{1,2}$)[a-zA-Z0-9._-]{1,200}$",
    rule: "1 to 200 of a-z, A-Z, 0-9, '.', '_' and '-', and neither '.' nor '..'",
  },
  identifier: {
    pattern: "^[A-Za-z][A-Za-z0-9_]{0,62}$",
    rule: "1 to 63 of a-z, A-Z, 0-9 and '_', first a letter",
  },
  service: {
    pattern: "^[A-Za-z_][A-Za-z0-9_]*(\\.[A-Za-z_][A-Za-z0-9_]*)+$",
    rule: "package.Service, such as flights.v1.DelayService",
  },
  environment: { pattern: "^[A-Za-z_][A-Za-z0-9_]{0,254}$", rule: "a name of an environment variable" },
} as const;

export type NameRule = keyof typeof NAME_RULES;

export function named(rule: NameRule, description: string) {
  return TString({ pattern: NAME_RULES[rule].pattern, description });
}

/** The rule of a pattern in words, for messages. */
export function ruleOfPattern(pattern: string): string {
  return Object.values(NAME_RULES).find((r) => r.pattern === pattern)?.rule ?? `text that matches ${pattern}`;
}
