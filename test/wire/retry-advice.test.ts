/** Handlers may give any number as advice: whatever it is, the refusal arrives, with a whole number of milliseconds or none. */
import { Metadata, type ServiceError } from "@grpc/grpc-js";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Fault } from "../../src/fault/fault.ts";
import { AnswerFrameReader } from "../../src/wire/converse/answer-frame.ts";
import { AnswerFrameWriter } from "../../src/wire/converse/answer-frame-writer.ts";
import { CallFrameWriter } from "../../src/wire/converse/call-frame.ts";
import { fragmentStatus } from "../../src/wire/converse/fragment-status.ts";
import { faultFromStatus, statusFromFault } from "../../src/wire/fault-status.ts";

const busy = (retryAfterMs: number) => new Fault("overloaded", "busy", { retryAfterMs });

/** As the gateway reads it from the two transports; 0 and undefined: none. */
function packed(retryAfterMs: number) {
  const status = fragmentStatus(busy(retryAfterMs));
  expect(Number.isSafeInteger(status.retryAfterMs) && status.retryAfterMs >= 0).toBe(true);
  const writer = new AnswerFrameWriter();
  const plain = {
    stamp: undefined,
    format: 0,
    messageEnd: false,
    bounds: undefined,
    timing: undefined,
    partialBytes: 0,
  } as const;
  writer.fragment({ id: 1, status, ...plain }, Buffer.alloc(0), 0, 0);
  return new AnswerFrameReader().read(writer.take()).fragments[0]?.status;
}

function unary(retryAfterMs: number): number | undefined {
  const { code, details, metadata } = statusFromFault(busy(retryAfterMs), new Metadata());
  return faultFromStatus({ code, details, metadata } as ServiceError, "ask").detail.retryAfterMs;
}

test.each([
  [0, 0],
  [250, 250],
  [250.5, 251],
  [0.001, 1],
  [70_000.25, 70_001],
  [-1, 0],
  [-300.5, 0],
  [Number.NaN, 0],
  [Number.POSITIVE_INFINITY, 0],
  [Number.NEGATIVE_INFINITY, 0],
  [2 ** 31, 2 ** 31],
  [1e300, 2 ** 31],
])("advice of %d ms arrives as %d", (given, expected) => {
  expect(packed(given)).toMatchObject({ fault: "overloaded", message: "busy", retryAfterMs: expected });
  expect(unary(given) ?? 0).toBe(expected);
});

test("any advice arrives alike by both transports", () => {
  fc.assert(
    fc.property(fc.double(), (ms) => {
      expect(unary(ms) ?? 0).toBe(packed(ms)?.retryAfterMs);
    }),
  );
});

test("advice from a peer that makes no sense is none", () => {
  const { code, details } = statusFromFault(busy(777), new Metadata());
  const metadata = statusFromFault(busy(777), new Metadata()).metadata as Metadata;
  const bytes = metadata.get("grpc-status-details-bin")[0] as Buffer;
  metadata.set("grpc-status-details-bin", Buffer.from(bytes.toString("latin1").replace("777", "x-7"), "latin1"));
  const fault = faultFromStatus({ code, details, metadata } as ServiceError, "ask");
  expect([fault.id, fault.detail]).toEqual(["overloaded", {}]);
});

test.each([Number.NaN, Number.POSITIVE_INFINITY, -1, 1.5, 2 ** 53])("%d is no number of a frame", (value) => {
  const writer = new CallFrameWriter();
  expect(() => writer.heartbeat(value)).toThrow("whole number");
  expect(() => writer.credit(1, value)).toThrow("whole number");
  expect(() => writer.cancel(value)).toThrow("whole number");
  expect(writer.isEmpty).toBe(true);
});

test.each([
  [Number.NaN, 0],
  [-5, 0],
  [1.5, 1],
  [Number.POSITIVE_INFINITY, 2 ** 31],
  [1e300, 2 ** 31],
])("a grace of %d ms is written as %d", (given, expected) => {
  const writer = new AnswerFrameWriter();
  writer.drain(given);
  const drain = new AnswerFrameReader().read(writer.take()).drain!;
  expect(Math.floor(drain.seconds * 1000 + drain.nanos / 1e6)).toBe(expected);
});
