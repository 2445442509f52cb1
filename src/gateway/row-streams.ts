import type { Message } from "@bufbuild/protobuf";
import { Fault } from "../fault/fault.ts";
import { faultFromUnknown } from "../fault/fault-from-unknown.ts";
import { step } from "../telemetry/step-channel.ts";
import { decodePartial } from "./merge/decode-partial.ts";
import { shardRequest } from "./plan/shard-request.ts";
import type { OpenQuery } from "./query/open-query.ts";
import type { VisitRecorder } from "./query/query-profile.ts";
import { openShardStream } from "./scatter/ask-shard.ts";
import type { ShardAsker } from "./scatter/shard-asker.ts";
import { requestEncoder, shardQuestion } from "./shard-questions.ts";

/** Opens every shard's stream; resolves when each has vouched for itself by its stamp, or was given up. */
export async function openRowStreams(asker: ShardAsker, open: OpenQuery): Promise<Map<number, AsyncIterable<Message>>> {
  const { query } = open;
  const { plan } = query.resolved;
  const request = shardRequest(plan, query.request);
  const encode = requestEncoder(open);
  const streams = new Map<number, AsyncIterable<Message>>();
  const openOne = async (shard: number) => {
    const visit = query.profile?.visit(shard);
    try {
      const stream = await openShardStream(asker, shardQuestion(open, { shard, request }, encode), open.signal);
      visit?.answered(stream);
      streams.set(shard, rowsOf(stream.messages, shard, open, visit));
    } catch (error) {
      const fault = faultFromUnknown(error, `ask shard ${shard}`);
      visit?.failed(fault);
      open.giveUpShard(shard, fault);
    }
  };
  await step("gateway", "scatter", { round: 1, calls: query.asked.length }, async () => {
    await Promise.all(query.asked.map(openOne));
  });
  return streams;
}

/** A shard's rows. When it breaks and the client accepts partial answers, it just ends, and counts as missing. */
async function* rowsOf(
  messages: AsyncIterable<Uint8Array>,
  shard: number,
  open: OpenQuery,
  visit: VisitRecorder | undefined,
): AsyncGenerator<Message, void, undefined> {
  try {
    const { output } = open.query.resolved.plan.method;
    for await (const message of messages) {
      visit?.row(message.length);
      yield decodePartial(output, { shard, message });
    }
    visit?.merged();
  } catch (error) {
    const fault = faultFromUnknown(error, `read rows of shard ${shard}`);
    visit?.failed(fault);
    open.giveUpShard(shard, fault);
  }
}

/** The merged rows. `ending` settles with them: a reader that stops early has cancelled the query. */
export async function* untilStopped(
  rows: AsyncIterable<Message>,
  open: OpenQuery,
  ending: Pick<PromiseWithResolvers<void>, "resolve" | "reject">,
): AsyncGenerator<Message, void, undefined> {
  try {
    for await (const row of rows) {
      open.throwIfStopped();
      yield row;
    }
    open.throwIfStopped();
    ending.resolve();
  } catch (error) {
    // What stopped the query says more than what the stopped streams complain of.
    const reason = open.signal.aborted ? open.signal.reason : error;
    const fault = faultFromUnknown(reason, "answer query");
    ending.reject(fault);
    throw fault;
  } finally {
    ending.reject(new Fault("cancelled", "the reader stopped before the end"));
  }
}
