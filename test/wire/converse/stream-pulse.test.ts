import { expect, test } from "vitest";
import { HEARTBEAT_MS, SILENCE_MAX_MS } from "../../../src/wire/converse/limits.ts";
import { StreamPulse } from "../../../src/wire/converse/stream-pulse.ts";
import { ManualClock } from "./manual-clock.ts";

function pulse() {
  const clock = new ManualClock();
  const beats: [at: number, sequence: number][] = [];
  const silences: number[] = [];
  const under = new StreamPulse({
    clock,
    beat: (sequence) => beats.push([clock.monotonic(), sequence]),
    silent: () => silences.push(clock.monotonic()),
  });
  return { clock, beats, silences, under };
}

test("a heartbeat is sent after every two seconds in which nothing else was", () => {
  const { clock, beats, under } = pulse();
  const hear = () => under.heard();
  for (let at = 0; at < 4000; at += 500) clock.after(at, hear);
  clock.advance(1500);
  under.sent();
  clock.advance(HEARTBEAT_MS - 1);
  expect(beats).toEqual([]);
  clock.advance(1);
  expect(beats).toEqual([[3500, 1]]);
  under.heard();
  clock.advance(HEARTBEAT_MS);
  expect(beats).toEqual([
    [3500, 1],
    [5500, 2],
  ]);
});

test("six seconds without a frame are the end, told once", () => {
  const { clock, silences, under } = pulse();
  clock.advance(5000);
  under.heard();
  clock.advance(SILENCE_MAX_MS - 1);
  expect(silences).toEqual([]);
  clock.advance(1);
  expect(silences).toEqual([11_000]);
  clock.advance(60_000);
  expect(silences).toEqual([11_000]);
  expect(clock.timers).toBe(0);
});

test("a process that stood still itself does not blame the other side, and still notices that it is gone", () => {
  const { clock, silences } = pulse();
  clock.stall(30_000);
  expect(silences).toEqual([]);
  clock.advance(HEARTBEAT_MS);
  expect(silences).toEqual([32_000]);
});

test("nothing is left of one that is stopped", () => {
  const { clock, beats, silences, under } = pulse();
  under.stop();
  clock.advance(60_000);
  expect([beats, silences, clock.timers]).toEqual([[], [], 0]);
});
