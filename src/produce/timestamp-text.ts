const ISO = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d(?::?\d\d)?)?)?$/;

/**
 * Milliseconds since the epoch of ISO 8601 text (a date, or a date and time; without a zone it is UTC), or `undefined`.
 * `Date.parse` is not used: it takes local time where the zone is missing, and the 31st of February for the 3rd of March.
 */
export function parseTimestampMs(text: string): number | undefined {
  const match = ISO.exec(text);
  if (match === null) return undefined;
  const [, year, month, day, hour = "0", minute = "0", second = "0", fraction = "", zone = "Z"] = match;
  const dayStart = Date.UTC(Number(year), Number(month) - 1, Number(day));
  const date = new Date(dayStart);
  if (date.getUTCMonth() !== Number(month) - 1 || date.getUTCDate() !== Number(day)) return undefined;
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) return undefined;
  const seconds = (Number(hour) * 60 + Number(minute)) * 60 + Number(second);
  const zoneMinutes = parseZone(zone);
  if (zoneMinutes === undefined) return undefined;
  return dayStart + seconds * 1000 + Number(fraction.slice(0, 3).padEnd(3, "0")) - zoneMinutes * 60_000;
}

function parseZone(zone: string): number | undefined {
  if (zone === "Z") return 0;
  const hours = Number(zone.slice(1, 3));
  const minutes = Number(zone.slice(3).replace(":", "") || "0");
  if (hours > 23 || minutes > 59) return undefined;
  return (zone.startsWith("-") ? -1 : 1) * (hours * 60 + minutes);
}
