import type { ObservedNode } from "../../lifecycle/observed-mesh.ts";

/**
 * What a person should hear of ingest: an alarm when it is raised, and records that could not be decoded when there are
 * some and then whenever they have doubled, so that a topic full of garbage fills no log.
 */
export class IngestNews {
  #alarms = new Map<string, string>();
  readonly #rejected = new Map<string, bigint>();

  /** What is new since the last look. Of a node that is down nothing is known, so nothing is told again when it is back. */
  of(nodes: readonly ObservedNode[]): readonly string[] {
    const alarms = new Map<string, string>();
    const news: string[] = [];
    for (const { name, status } of nodes) {
      if (status.kind === "down") {
        for (const [place, alarm] of this.#alarms) if (place.endsWith(` on ${name}`)) alarms.set(place, alarm);
        continue;
      }
      for (const { shard, alarm, rejected } of status.shards) {
        const place = `shard ${shard} on ${name}`;
        if (alarm !== undefined) {
          alarms.set(place, alarm);
          if (this.#alarms.get(place) !== alarm) news.push(`${place}: ${alarm}`);
        }
        if (rejected > 0n && rejected >= 2n * (this.#rejected.get(place) ?? 0n)) {
          this.#rejected.set(place, rejected);
          news.push(`${place}: ${rejected} records could not be decoded and are in no answer`);
        }
      }
    }
    this.#alarms = alarms;
    return news;
  }
}
