import type { FixedCut } from "../../lifecycle/snapshot-record.ts";
import { type Cut, cutOf } from "../../mesh/cut.ts";
import { array, bigint, number, object, string } from "./read-json.ts";

/** Cuts in the control files: positions as strings, since they are 64-bit. */
export function cutToJson(cut: Cut): unknown {
  return cut.map((p) => ({ ...p, position: p.position.toString() }));
}

export function cutFromJson(value: unknown, path: string): Cut {
  return cutOf(
    array(value, path).map((item, i) => {
      const at = `${path}[${i}]`;
      const p = object(item, at);
      return {
        topic: string(p.topic, `${at}.topic`),
        topicId: string(p.topicId, `${at}.topicId`),
        partition: number(p.partition, `${at}.partition`),
        position: bigint(p.position, `${at}.position`),
      };
    }),
  );
}

export function fixedCutToJson(cut: FixedCut): unknown {
  return { ...cut, positions: cutToJson(cut.positions) };
}

export function fixedCutFromJson(value: unknown, path: string): FixedCut {
  const cut = object(value, path);
  return {
    positions: cutFromJson(cut.positions, `${path}.positions`),
    fixedAtMs: number(cut.fixedAtMs, `${path}.fixedAtMs`),
    inexactTopics: array(cut.inexactTopics, `${path}.inexactTopics`).map((topic, i) =>
      string(topic, `${path}.inexactTopics[${i}]`),
    ),
  };
}
