import { create, toBinary } from "@bufbuild/protobuf";
import { Client, credentials, Metadata } from "@grpc/grpc-js";
import { TopRequestSchema, TopResponseSchema } from "../../generated/bench/v1/bench_pb.ts";
import { SERVICE } from "../mesh/bench-names.ts";
import { rightTop } from "../service/right-answer.ts";
import { type Door, difference, GRPC_STATUS_BASE, questionsOf, RIGHT } from "./door.ts";
import type { LoadJob } from "./load-job.ts";

const asIs = (bytes: Buffer) => bytes;
const DEADLINE_MS = 10_000;

/** `Top` over gRPC, at a gateway or at a shard's service itself: the answer's bytes must be the right ones. */
export function grpcDoor(job: LoadJob, headers: Readonly<Record<string, string>>): Door {
  const client = new Client(job.address, credentials.createInsecure());
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
  const { limit, meanServiceUs } = job;
  const questionAt = questionsOf(job, (seed) => ({
    request: Buffer.from(
      toBinary(TopRequestSchema, create(TopRequestSchema, { seed: BigInt(seed), limit, meanServiceUs })),
    ),
    answer: Buffer.from(rightMessage(seed, job)),
  }));
  return {
    ask(index) {
      const question = questionAt(index);
      const deadline = Date.now() + (job.timeoutMs ?? DEADLINE_MS);
      return new Promise((resolve) => {
        client.makeUnaryRequest(
          `/${SERVICE}/Top`,
          asIs,
          asIs,
          question.request,
          metadata,
          { deadline },
          (error, bytes) => {
            if (error !== null) resolve({ kind: "fault", status: GRPC_STATUS_BASE + error.code, text: error.message });
            else if (bytes === undefined) resolve({ kind: "wrong", text: "neither an answer nor an error" });
            else if (bytes.equals(question.answer)) resolve(RIGHT);
            else resolve({ kind: "wrong", text: difference(bytes, question.answer) });
          },
        );
      });
    },
    close: () => client.close(),
  };
}

function rightMessage(seed: number, { shards, limit }: LoadJob): Uint8Array {
  const groups = rightTop(seed, shards, limit).map(({ key, first, second, third }) => ({
    key,
    first: BigInt(first),
    second: BigInt(second),
    third: BigInt(third),
  }));
  return toBinary(TopResponseSchema, create(TopResponseSchema, { groups }));
}
