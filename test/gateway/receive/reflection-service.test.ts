import { Duplex } from "node:stream";
import { type Server, status } from "@grpc/grpc-js";
import { expect, test } from "vitest";
import { addReflection, reflectionIndex } from "../../../src/gateway/receive/grpc/reflection-service.ts";

/** A stream whose reader takes nothing until `take` is called; every question is put to the service at once. */
function asked(questions: number) {
  let take = () => {};
  let answers = 0;
  const stream = new Duplex({
    objectMode: true,
    read() {},
    write(_answer, _encoding, done) {
      answers++;
      take = done;
    },
  });
  const failed = new Promise((resolve) => stream.on("error", resolve));
  const server = {
    addService: (_definition: unknown, handlers: { ServerReflectionInfo(stream: Duplex): void }) => handle(handlers),
  };
  let isFirst = true;
  const handle = (handlers: { ServerReflectionInfo(stream: Duplex): void }) => {
    if (isFirst) handlers.ServerReflectionInfo(stream);
    isFirst = false;
  };
  addReflection(server as unknown as Server, () => reflectionIndex([], []));
  for (let i = 0; i < questions; i++) stream.push({ host: "", messageRequest: "listServices", listServices: "*" });
  return { stream, failed, take: () => take(), answers: () => answers };
}

test("questions are read no faster than answers are taken", async () => {
  const { stream } = asked(500);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(stream.writableLength).toBeLessThanOrEqual(stream.writableHighWaterMark);
});

test("a stream has a limit of questions", async () => {
  const reader = asked(1_001);
  for (let i = 0; i < 2_000; i++) {
    reader.take();
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(await reader.failed).toMatchObject({ code: status.RESOURCE_EXHAUSTED });
  expect(reader.answers()).toBeLessThanOrEqual(1_000);
});
