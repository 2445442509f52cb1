/** The next offset to apply, of one partition. */
export interface Position {
  readonly topic: string;
  /** A topic made anew under its old name has another id. */
  readonly topicId: string;
  readonly partition: number;
  readonly position: bigint;
}

/** A prefix of each partition: every record with offset < position. Ordered by topic, then partition. */
export type Cut = readonly Position[];

export function cutOf(positions: Iterable<Position>): Cut {
  return [...positions].sort((a, b) => (a.topic < b.topic ? -1 : a.topic > b.topic ? 1 : a.partition - b.partition));
}

export function positionIn(cut: Cut, topic: string, partition: number): Position | undefined {
  return cut.find((p) => p.topic === topic && p.partition === partition);
}

/** True when `a` contains every record that `b` contains. Partitions of other topic ids never compare. */
export function cutContains(a: Cut, b: Cut): boolean {
  return b.every((q) => {
    const p = positionIn(a, q.topic, q.partition);
    if (p === undefined) return q.position === 0n;
    return p.topicId === q.topicId && p.position >= q.position;
  });
}

/** `flights/0@741222 flights/1@…`, for people. */
export function cutText(cut: Cut): string {
  return cut.map((p) => `${p.topic}/${p.partition}@${p.position}`).join(" ");
}
