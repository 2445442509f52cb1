import assert from "node:assert";
import { Fault } from "../fault/fault.ts";
import { faultFromUnknown } from "../fault/fault-from-unknown.ts";
import { nextTurn } from "../process/turn.ts";
import { PartialFormat } from "../wire/generated/skynetes/v1/shard_pb.ts";
import type { TopBounds } from "../wire/generated/skynetes/v1/stamp_pb.ts";
import { readTopBounds } from "../wire/top-bounds.ts";
import type { QueryPartials } from "./cache/query-partials.ts";
import type { Partial } from "./merge/merge-execution.ts";
import type { MergeRun } from "./merge-threads/merge-run.ts";
import type { ShardRequest } from "./plan/shard-request.ts";
import type { Gathering } from "./query/gathering.ts";
import type { VisitRecorder } from "./query/query-profile.ts";
import { askShard } from "./scatter/ask-shard.ts";
import type { ShardAsker } from "./scatter/shard-asker.ts";
import type { ShardQuestion } from "./scatter/shard-question.ts";
import type { ShardReply } from "./scatter/shard-transport.ts";
import { requestEncoder, shardQuestion } from "./shard-questions.ts";

/** Partials are merged for so long before the event loop has its turn: nothing else paces them. */
const TURN_MS = 1;
/**
 * Partials of a round wait for one another up to so many bytes, and are merged one after the other then: with many
 * queries under way, each one's tables are in the processor's caches once, and not once for each shard.
 */
const TOGETHER_BYTES = 64 * 1024;

export interface RoundParts {
  readonly asker: ShardAsker;
  readonly groupBytesMax: number;
  /** Partials that are kept from before, and where to keep those that come. */
  readonly partials?: QueryPartials | undefined;
}

/** A shard that is asked, or whose partial is kept from before. */
interface Ask {
  readonly request: ShardRequest;
  readonly question: ShardQuestion;
  readonly kept: ShardReply | undefined;
  readonly visit: VisitRecorder | undefined;
}

interface Arrived {
  readonly ask: Ask;
  readonly reply: ShardReply;
}

/**
 * All requests of a round at once, but for those whose partials are kept from before. The first fault that the answer
 * cannot do without rejects, which ends the query, which stops the others.
 */
export function askRound(
  parts: RoundParts,
  open: Gathering,
  merge: MergeRun,
  requests: readonly ShardRequest[],
  gathered: { bytes: number },
): Promise<void> {
  return new Round(parts, open, merge, gathered).run(requests);
}

class Round {
  readonly #parts: RoundParts;
  readonly #open: Gathering;
  readonly #merge: MergeRun;
  readonly #gathered: { bytes: number };
  readonly #entered = new Set<ShardRequest>();
  readonly #shards = new Set<number>();
  #underWay = 0;
  #waiting: Arrived[] = [];
  #waitingBytes = 0;
  #isMerging = false;
  #isOver = false;
  #resolve!: () => void;
  #reject!: (error: unknown) => void;

  constructor(parts: RoundParts, open: Gathering, merge: MergeRun, gathered: { bytes: number }) {
    this.#parts = parts;
    this.#open = open;
    this.#merge = merge;
    this.#gathered = gathered;
  }

  run(requests: readonly ShardRequest[]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
      const { partials, asker } = this.#parts;
      const { profile } = this.#open.query;
      const encode = requestEncoder(this.#open);
      const accept = this.#merge.acceptsColumns ? PartialFormat.COLUMNS : undefined;
      const asks = requests.map((request): Ask => {
        const question = shardQuestion(this.#open, request, encode, accept);
        return { request, question, kept: partials?.find(question), visit: profile?.visit(request.shard) };
      });
      this.#underWay = asks.length;
      // Shards first: they work while what is kept is merged.
      for (const ask of asks) {
        if (ask.kept !== undefined) continue;
        askShard(asker, ask.question, this.#open.signal).then(
          (reply) => this.#arrived(ask, reply),
          (error: unknown) => this.#ended(ask, error),
        );
      }
      for (const ask of asks) if (ask.kept !== undefined) this.#arrived(ask, ask.kept);
      this.#next();
    });
  }

  #arrived(ask: Ask, reply: ShardReply): void {
    const { shard } = ask.request;
    const bytes = reply.message.length;
    try {
      if (ask.kept !== undefined) ask.visit?.cached();
      ask.visit?.answered(reply);
      this.#open.throwIfStopped();
      if (!this.#open.missing.has(shard)) {
        // Held already, with what more might have come.
        if (reply.held !== undefined) this.#open.release(reply.held);
        this.#count(bytes);
        // A thread takes its time to start, which a partial that waits for others need not lose.
        this.#merge.expect(bytes);
        this.#waiting.push({ ask, reply });
        this.#waitingBytes += bytes;
        this.#open.shardsAnswered(this.#shards.add(shard).size);
      }
    } catch (error) {
      this.#ended(ask, error);
      return;
    }
    this.#underWay--;
    this.#next();
  }

  #count(bytes: number): void {
    const { groupBytesMax } = this.#parts;
    this.#gathered.bytes += bytes;
    if (this.#gathered.bytes > groupBytesMax) {
      const text = `answer query: the shards' partials exceed ${groupBytesMax} bytes`;
      throw new Fault("answer-too-large", text);
    }
    this.#open.hold(bytes);
  }

  /** Without a partial. */
  #ended(ask: Ask, error: unknown): void {
    if (this.#isOver) return;
    const done = () => {
      this.#underWay--;
      this.#next();
    };
    const giveUp = () => {
      try {
        const excluding = this.#giveUp(ask, error);
        if (excluding === undefined) done();
        else excluding.then(done, (fault: unknown) => this.#fail(fault));
      } catch (fault) {
        this.#fail(fault);
      }
    };
    // What came before it is merged before, and kept: a retry pays for the shards that are missing only.
    if (this.#parts.partials !== undefined) this.#startMerging(giveUp);
    else giveUp();
  }

  /** Throws what the answer cannot do without. Undefined: it is done. */
  #giveUp({ request: { shard }, kept, visit }: Ask, error: unknown): void | Promise<void> {
    if (kept !== undefined) this.#parts.partials?.drop(shard);
    const fault = faultFromUnknown(error, `ask shard ${shard}`);
    visit?.failed(fault);
    if (this.#open.missing.has(shard)) return;
    this.#open.giveUpShard(shard, fault);
    return this.#merge.exclude(shard);
  }

  /** Merges what waits, where all is there or enough of it; ends the round after the last. */
  #next(): void {
    if (this.#isMerging) return;
    if (this.#isOver) {
      // What came with the fault that ends the query is merged yet, to be kept: a retry need not ask for it.
      if (this.#parts.partials !== undefined && this.#waiting.length > 0) this.#startMerging(() => {});
      return;
    }
    if (this.#underWay > 0 && this.#waitingBytes < TOGETHER_BYTES) return;
    if (this.#waiting.length > 0) {
      this.#startMerging(() => {});
    } else if (this.#underWay === 0) {
      this.#isOver = true;
      this.#resolve();
    }
  }

  /** `then` at once where nothing waits to be merged. */
  #startMerging(then: () => void): void {
    if (this.#isMerging || this.#waiting.length === 0) {
      then();
      return;
    }
    this.#isMerging = true;
    this.#mergeWaiting().then(
      () => {
        this.#isMerging = false;
        then();
        this.#next();
      },
      (error: unknown) => this.#fail(error),
    );
  }

  async #mergeWaiting(): Promise<void> {
    const { clock } = this.#parts.asker;
    const { signal } = this.#open;
    let until = clock.monotonic() + TURN_MS;
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    for (const { ask, reply } of waiting) {
      if (clock.monotonic() >= until) {
        await nextTurn(signal);
        until = clock.monotonic() + TURN_MS;
      }
      this.#open.throwIfStopped();
      if (this.#open.missing.has(ask.request.shard)) continue;
      try {
        const { partials } = this.#parts;
        // Before it is given to a thread, which leaves nothing of it here.
        const { length } = reply.message;
        const isGiven =
          reply.isOwn === true && ask.kept === undefined && partials?.mayKeep(ask.question, reply) !== true;
        const merging = this.#merge.accept(this.#partialOf(ask, reply), isGiven);
        if (merging !== undefined) await merging;
        ask.visit?.merged();
        // What is kept of it the merge has counted.
        this.#open.release(length);
        if (ask.kept === undefined && !isGiven) partials?.keep(ask.question, reply);
      } catch (error) {
        const excluding = this.#giveUp(ask, error);
        if (excluding !== undefined) await excluding;
      }
    }
  }

  #partialOf({ request, question }: Ask, { message, bounds, format }: ShardReply): Partial {
    const { shard } = request;
    assert(!this.#entered.has(request), "a shard enters a merge once");
    this.#entered.add(request);
    return { shard, request, message, format: formatOf(format, question), bounds: decodeBounds(shard, bounds) };
  }

  #fail(error: unknown): void {
    this.#isOver = true;
    this.#reject(error);
  }
}

/** Faults: `bad-partial` for a format that was not asked for. */
function formatOf(
  format: PartialFormat | undefined,
  { accept, expected: { shard } }: ShardQuestion,
): "message" | "columns" {
  if (format === undefined || format === PartialFormat.UNSPECIFIED) return "message";
  if (format === PartialFormat.COLUMNS && accept === format) return "columns";
  throw new Fault("bad-partial", `read partial of shard ${shard}: format ${format} was not asked for`, { shard });
}

function decodeBounds(shard: number, bytes: Uint8Array | undefined): TopBounds | undefined {
  if (bytes === undefined) return undefined;
  try {
    return readTopBounds(bytes);
  } catch (error) {
    throw new Fault("bad-partial", `read bounds of shard ${shard}: ${(error as Error).message}`, { shard }, error);
  }
}
