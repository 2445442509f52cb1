import type { ObservedLag, ObservedNode } from "../../lifecycle/observed-mesh.ts";

/** A first load is behind for a while and no news. */
const BEHIND_MS = 60_000;

/**
 * What a person should hear of ingest: an alarm when it is raised, and records that could not be decoded when there are
 * some and then whenever they have doubled, so that a topic full of garbage fills no log. In the same way, how long a shard
 * is behind its log, from a minute on, and when it is no longer.
 */
export class IngestNews {
  #alarms = new Map<string, string>();
  readonly #rejected = new Map<string, bigint>();
  /** Milliseconds that were told last. */
  readonly #behind = new Map<string, number>();

  /** What is new since the last look. Of a node that is down nothing is known, so nothing is told again when it is back. */
  of(nodes: readonly ObservedNode[]): readonly string[] {
    const alarms = new Map<string, string>();
    const news: string[] = [];
    for (const { name, status } of nodes) {
      if (status.kind === "down") {
        for (const [place, alarm] of this.#alarms) if (place.endsWith(` on ${name}`)) alarms.set(place, alarm);
        continue;
      }
      for (const { shard, alarm, rejected, lag } of status.shards) {
        const place = `shard ${shard} on ${name}`;
        if (alarm !== undefined) {
          alarms.set(place, alarm);
          if (this.#alarms.get(place) !== alarm) news.push(`${place}: ${alarm}`);
        }
        if (rejected > 0n && rejected >= 2n * (this.#rejected.get(place) ?? 0n)) {
          this.#rejected.set(place, rejected);
          news.push(`${place}: ${rejected} records could not be decoded and are in no answer`);
        }
        news.push(...this.#lagNews(place, lag));
      }
    }
    this.#alarms = alarms;
    return news;
  }

  #lagNews(place: string, lag: ObservedLag | undefined): readonly string[] {
    const told = this.#behind.get(place);
    if (lag === undefined || lag.behindMs < BEHIND_MS) {
      this.#behind.delete(place);
      return told === undefined || lag === undefined ? [] : [`${place}: all that the log has is applied again`];
    }
    if (told !== undefined && lag.behindMs < 2 * told) return [];
    this.#behind.set(place, lag.behindMs);
    const { topic, partition, records, behindMs } = lag;
    const seconds = Math.floor(behindMs / 1000);
    return [`${place}: behind ${topic}/${partition} for ${seconds} s, ${records} records as far as is known`];
  }
}
