const PATTERN = /^(\d{4})-(\d{2})-(\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?([Zz]|[+-]\d{2}:\d{2})$/;

export const RFC3339_RULE = "RFC 3339 with a time zone and at most milliseconds, such as 2001-04-01T00:00:00Z";

/**
 * Milliseconds since the Unix epoch, or `undefined`. Stricter than `Date.parse`, which takes the 31st of February for a
 * day in March and reads a time without zone in the zone of the machine. The log counts in milliseconds, so finer
 * digits must be zeros.
 */
export function parseRfc3339(text: string): number | undefined {
  const match = PATTERN.exec(text);
  if (match === null) return undefined;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const fraction = (match[7] ?? "").padEnd(9, "0");
  if (!/^0*$/.test(fraction.slice(3))) return undefined;
  const zone = match[8]!.toUpperCase();
  const [zoneHours, zoneMinutes] = zone === "Z" ? [0, 0] : [Number(zone.slice(1, 3)), Number(zone.slice(4, 6))];
  if (hour > 23 || minute > 59 || second > 59 || zoneHours! > 23 || zoneMinutes! > 59) return undefined;
  const local = new Date(0);
  local.setUTCFullYear(year, month - 1, day);
  if (local.getUTCFullYear() !== year || local.getUTCMonth() !== month - 1 || local.getUTCDate() !== day)
    return undefined;
  local.setUTCHours(hour, minute, second, Number(fraction.slice(0, 3)));
  const offsetMs = (zone.startsWith("-") ? -1 : 1) * (zoneHours! * 60 + zoneMinutes!) * 60_000;
  return local.getTime() - offsetMs;
}
