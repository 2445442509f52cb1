import type { MeshDocument } from "../schema/mesh-schema.ts";
import type { Draft } from "./draft.ts";
import type { Drafted, Report } from "./drafts.ts";

/** Markers tell a reader how a producer's transaction ended in one partition, and nothing tells in which others it was. */
const NOT_TRANSACTIONAL =
  "found Transactional; allowed: Prefix, since a log shows its readers no list of the partitions of a transaction";

/** The log: what it needs is given, once, and no secret stands in the manifest itself. */
export function checkLog({ source, draft }: Drafted<MeshDocument>, report: Report): void {
  if (draft.spec?.cut === "Transactional") report(source, ["spec", "cut"], NOT_TRANSACTIONAL);
  const kafka = draft.spec?.log?.kafka;
  if (kafka === undefined) return;
  const here = (path: (string | number)[], message: string) =>
    report(source, ["spec", "log", "kafka", ...path], message);
  if ((kafka.brokers === undefined) === (kafka.brokersFrom === undefined)) {
    here(["brokers"], "either brokers or brokersFrom, and one of them");
  }
  for (const [i, broker] of (kafka.brokers ?? []).entries()) {
    if (broker === undefined || /^(\[[^\]]+\]|[^:/\s]+):\d{1,5}$/.test(broker)) continue;
    here(["brokers", i], `found ${JSON.stringify(broker)}; allowed: host:port, such as kafka.example:9092`);
  }
  const { tls, sasl } = kafka;
  if (tls !== undefined && (tls.certFile === undefined) !== (tls.keyFile === undefined)) {
    here(["tls"], "certFile and keyFile are given together or not at all");
  }
  checkSource(kafka.brokersFrom, (message) => here(["brokersFrom"], message));
  checkSource(sasl?.usernameFrom, (message) => here(["sasl", "usernameFrom"], message));
  checkSource(sasl?.passwordFrom, (message) => here(["sasl", "passwordFrom"], message));
  if (sasl !== undefined && tls === undefined && sasl.mechanism === "PLAIN") {
    here(["sasl", "mechanism"], "PLAIN sends the password as it is, so it needs tls");
  }
  checkTimes(draft, (i, message) => report(source, ["spec", "topics", i, "timestamps"], message));
}

export function checkSource(
  from: Draft<{ environment?: string; file?: string }> | undefined,
  report: (message: string) => void,
): void {
  if (from === undefined || (from.environment === undefined) !== (from.file === undefined)) return;
  report("either environment or file, and one of them");
}

/** Kafka promises order only of times that it sets itself, and those replace the ones of a seed. */
function checkTimes(draft: Draft<MeshDocument>, report: (topic: number, message: string) => void): void {
  for (const [i, topic] of (draft.spec?.topics ?? []).entries()) {
    const { timestamp, fixedTimestamp } = topic?.seed ?? {};
    if (topic?.timestamps !== "NonDecreasing" || (timestamp === undefined && fixedTimestamp === undefined)) continue;
    report(
      i,
      "NonDecreasing is the broker's clock on Kafka, which would replace the seed's timestamps; allowed: Unordered",
    );
  }
}
