import { create } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { answerText } from "../../src/main/answer-text.ts";
import { parseDuration, parseInstant, parseListen } from "../../src/main/options.ts";
import { progressLine } from "../../src/main/progress-line.ts";
import { parseCall } from "../../src/main/query-target.ts";
import { snapshotText } from "../../src/main/snapshot-text.ts";
import type { Clock } from "../../src/process/clock.ts";
import { ControlledSnapshotSchema, SnapshotPhase } from "../../src/wire/generated/skynetes/v1/control_pb.ts";

describe("answers as tables", () => {
  test("one message is a line a field", () => {
    expect(answerText([{ answer: { flights: "12", meanDelayMinutes: 8.5 }, completeness: {} }])).toBe(
      "FIELD             VALUE\nflights           12\nmeanDelayMinutes  8.5\n",
    );
  });

  test("a list is a row an item, and a field that a row lacks is a dash", () => {
    expect(answerText([{ answer: { days: [{ day: "a" }, { day: "b", flights: "2" }] } }])).toBe(
      "day  flights\na    -\nb    2\n",
    );
  });

  test("a stream is a row a message; nothing found says so", () => {
    expect(answerText([{ origin: "LAX" }, { origin: "SFO" }])).toBe("origin\nLAX\nSFO\n");
    expect(answerText([])).toBe("no rows\n");
    expect(answerText([{ answer: { days: [] } }])).toBe("no rows\n");
  });
});

describe("progress", () => {
  function shown(isTerminal: boolean) {
    let now = 0;
    let text = "";
    const clock: Clock = { now: () => now, monotonic: () => now, after: () => () => {} };
    const line = progressLine({ name: "load t", clock, isTerminal, write: (t) => (text += t) });
    for (let i = 1; i <= 100; i++) {
      now += 120;
      line.show({ rows: i * 1000, totalRows: 100_000, bytes: i * 1e6 });
    }
    line.done();
    return text;
  }

  test("a terminal sees a bar that draws over itself", () => {
    const text = shown(true);
    expect(text).toContain("\r\x1b[Kload t: ███████████████░░░░░░░░░░░░░░░ 50 %, 50,000 of 100,000 records");
    expect(text.endsWith("\r\x1b[Kload t: 100,000 records loaded in 12.0 s\n")).toBe(true);
  });

  test("a log file sees a line now and then, and no control characters", () => {
    const lines = shown(false).trim().split("\n");
    expect(lines).toHaveLength(3);
    expect(["\r", "\x1b"].some((control) => lines.join("").includes(control))).toBe(false);
  });
});

test("a binding that is on its way shows what is wished and what serves", () => {
  const snapshot = create(ControlledSnapshotSchema, {
    id: "a",
    phase: SnapshotPhase.BINDING,
    bindings: [{ service: "a.B", version: "b-v2-00000002" }],
    serving: [{ service: "a.B", version: "b-v1-00000001" }],
  });
  expect(snapshotText(snapshot)).toContain("a.B        b-v2-00000002 wished, b-v1-00000001 serving\n");
});

describe("what is written on the command line", () => {
  test("durations", () => {
    expect(["500ms", "2s", "1.5m", "1h"].map(parseDuration)).toEqual([500, 2_000, 90_000, 3_600_000]);
    for (const bad of ["2", "s", "-1s", "1d", ""]) expect(() => parseDuration(bad)).toThrow("500ms");
  });

  test("instants have a zone", () => {
    expect(parseInstant("2001-04-01T00:00Z")).toBe(Date.UTC(2001, 3, 1));
    expect(parseInstant("2001-04-01T02:00:00.5+02:00")).toBe(Date.UTC(2001, 3, 1) + 500);
    for (const bad of ["2001-04-01", "2001-04-01T00:00", "2001-13-01T00:00Z"]) {
      expect(() => parseInstant(bad)).toThrow("2001-04-01T00:00Z");
    }
  });

  test("addresses, with IPv6 in brackets", () => {
    expect(parseListen("127.0.0.1:0")).toEqual({ host: "127.0.0.1", port: 0 });
    expect(parseListen("[::1]:50051")).toEqual({ host: "::1", port: 50051 });
    for (const bad of ["50051", "::1:50051", "host:", "host:70000"]) expect(() => parseListen(bad)).toThrow();
  });

  test("calls, with a version or without", () => {
    expect(parseCall("a.b.C/D")).toEqual({ service: "a.b.C", version: undefined, method: "D" });
    expect(parseCall("a.C@c-v1-0a1b2c3d/D")).toEqual({ service: "a.C", version: "c-v1-0a1b2c3d", method: "D" });
    for (const bad of ["a.b.C", "C.D", "/D", "a.C@/D"]) expect(() => parseCall(bad)).toThrow("package.Service/Method");
  });
});
