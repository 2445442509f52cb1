/**
 * A process with one service for each shard, as cheap as can be: it answers every call with the same partial, after a
 * time that is zero or exponential. Arguments: shards, bytes of a partial, mean service time in ms. Prints its addresses.
 */
import { Metadata, Server, ServerCredentials, type ServerDuplexStream, type ServerUnaryCall } from "@grpc/grpc-js";
import { AnswerFrameWriter } from "../../src/wire/converse/answer-frame-writer.ts";
import { CallFrameReader } from "../../src/wire/converse/call-frame.ts";
import { OK_STATUS } from "../../src/wire/converse/fragment-status.ts";
import { encodeStamp } from "../../src/wire/converse/packed-stamp.ts";
import { PATH, SNAPSHOT, stampOf } from "./call-facts.ts";

const [shards = 1, bytes = 200, meanMs = 0] = process.argv.slice(2).map(Number);
const partial = Buffer.alloc(bytes, 1);
const asIs = (message: Buffer) => message;

function serve(shard: number): Promise<string> {
  const stamp = encodeStamp(stampOf(shard));
  const server = new Server({ "grpc.max_concurrent_streams": 10_000 });
  const initial = () => {
    const metadata = new Metadata();
    metadata.set("x-skynetes-stamp-bin", stamp);
    return metadata;
  };
  const unary = (call: ServerUnaryCall<Buffer, Buffer>, reply: (error: null, value: Buffer) => void) => {
    call.sendMetadata(initial());
    later(() => reply(null, partial));
  };
  server.register(PATH, unary as never, asIs, asIs, "unary");
  server.register("/skynetes.v1.ShardService/Converse", converse as never, asIs, asIs, "bidi");
  function converse(call: ServerDuplexStream<Buffer, Buffer>): void {
    const reader = new CallFrameReader();
    const writer = new AnswerFrameWriter();
    let ready: number[] = [];
    const head = {
      stamp,
      format: 0,
      messageEnd: false,
      status: OK_STATUS,
      bounds: undefined,
      timing: undefined,
      partialBytes: 0,
    } as const;
    const flush = () => {
      for (const id of ready) {
        const fragment = { ...head, id };
        if (writer.fragment(fragment, partial, 0, bytes)) continue;
        call.write(writer.take());
        writer.fragment(fragment, partial, 0, bytes);
      }
      ready = [];
      call.write(writer.take());
    };
    writer.hello("pod", "instance", []);
    call.write(writer.take());
    call.on("error", () => {});
    call.on("end", () => call.end());
    call.on("data", (frame: Buffer) => {
      for (const { id } of reader.read(frame).calls) {
        later(() => {
          if (ready.push(id) === 1) setImmediate(flush);
        });
      }
    });
  }
  return new Promise((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
      if (error === null) resolve(`127.0.0.1:${port}`);
      else reject(error);
    });
  });
}

function later(work: () => void): void {
  if (meanMs === 0) work();
  else setTimeout(work, -meanMs * Math.log(1 - Math.random()));
}

const addresses = await Promise.all(Array.from({ length: shards }, (_, shard) => serve(shard)));
console.log(JSON.stringify({ addresses, snapshot: SNAPSHOT }));
