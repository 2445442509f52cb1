import { fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Slices } from "../../accumulator/sliced-sort.ts";
import { faultFromUnknown } from "../../fault/fault-from-unknown.ts";
import type { MethodPlan } from "../../merge-plan/method-plan.ts";
import type { Clock } from "../../process/clock.ts";
import { nextTurn } from "../../process/turn.ts";
import { TopBoundsSchema } from "../../wire/generated/skynetes/v1/stamp_pb.ts";
import type { MergeExecution } from "../merge/merge-execution.ts";
import { startMerge } from "../merge/start-merge.ts";
import type { ShardRequest } from "../plan/shard-request.ts";
import { planFromWords } from "./plan-words.ts";
import { ThreadMemory } from "./thread-memory.ts";
import type { AcceptWords, BeginWords, FromThread, OrderWords, RoundWords, ToThread } from "./thread-words.ts";

/** Between two looks at what has come: that the merge is not wanted any more, for one. */
const TURN_MS = 1;

export type Tell = (words: FromThread, handedOver?: readonly ArrayBuffer[]) => void;

/** One merge: what it is made of, and whether it is still wanted. */
interface Work {
  readonly plan: MethodPlan;
  readonly merge: MergeExecution;
  readonly memory: ThreadMemory;
  round: readonly ShardRequest[];
}

interface Done {
  readonly value?: unknown;
  readonly handedOver?: readonly ArrayBuffer[];
}

/** The thread's side: one merge at a time, its orders one after the other. */
export class ThreadWork {
  readonly #tell: Tell;
  readonly #clock: Clock;
  readonly #plans = new Map<number, MethodPlan>();
  #work: Work | undefined;
  #memory: ThreadMemory;
  #stop = new AbortController();
  #last: Promise<void> = Promise.resolve();

  constructor(tell: Tell, clock: Clock) {
    this.#tell = tell;
    this.#clock = clock;
    this.#memory = this.#newMemory();
  }

  hear(words: ToThread): void {
    if (words.kind === "grant") this.#memory.grant(words.bytes);
    else if (words.kind === "end") {
      const stopped = this.#stop;
      stopped.abort();
      this.#memory.wake();
      this.#stop = new AbortController();
      this.#memory = this.#newMemory();
      void this.#last.then(() => {
        this.#work = undefined;
        this.#tell({ kind: "ended" });
      });
    } else {
      const [{ signal }, memory] = [this.#stop, this.#memory];
      this.#last = this.#last.then(() => this.#perform(words, memory, signal));
    }
  }

  #newMemory(): ThreadMemory {
    return new ThreadMemory((bytes) => this.#tell({ kind: "need", bytes }));
  }

  async #perform(words: Exclude<ToThread, { kind: "grant" | "end" }>, memory: ThreadMemory, signal: AbortSignal) {
    try {
      if (words.kind === "plan") {
        if (words.forgetsOthers) this.#plans.clear();
        this.#plans.set(words.plan, planFromWords(words));
        return;
      }
      if (signal.aborted) return;
      const { value, handedOver } = await this.#run(this.#slicesOf(words, memory), memory, signal);
      if (!signal.aborted) this.#tell({ kind: "done", value }, handedOver);
    } catch (error) {
      if (signal.aborted) return;
      const { id, message, detail } = faultFromUnknown(error, "merge in a thread");
      this.#tell({ kind: "failed", fault: { id, message, detail } });
    }
  }

  async #run<T>(slices: Slices<T>, memory: ThreadMemory, signal: AbortSignal): Promise<T> {
    let until = this.#clock.monotonic() + TURN_MS;
    for (;;) {
      const slice = slices.next();
      if (memory.isShort) await memory.catchUp(signal);
      if (slice.done) return slice.value;
      if (this.#clock.monotonic() < until) continue;
      await nextTurn(signal);
      until = this.#clock.monotonic() + TURN_MS;
    }
  }

  *#slicesOf(words: OrderWords, memory: ThreadMemory): Slices<Done> {
    if (words.kind === "begin") {
      this.#work = this.#begin(words, memory);
      return {};
    }
    const work = this.#work!;
    switch (words.kind) {
      case "accept":
        yield* work.merge.acceptSlices(partialOf(words, work));
        return {};
      case "exclude":
        work.merge.exclude(words.shard);
        return {};
      case "next":
        work.round = yield* work.merge.nextSlices();
        return { value: roundToWords(work) };
      case "finish": {
        const pieces = yield* work.merge.finishSlices();
        return { value: pieces, handedOver: buffersOf(pieces) };
      }
    }
  }

  #begin({ plan: number, request, shards, ...limits }: BeginWords, memory: ThreadMemory): Work {
    const plan = this.#plans.get(number)!;
    const { groupBytesMax, keysPerRequestMax } = limits;
    const merge = startMerge(plan, fromBinary(plan.method.input, request), shards, {
      groupBytesMax,
      ...(keysPerRequestMax === undefined ? {} : { keysPerRequestMax }),
      hold: (bytes) => memory.hold(bytes),
    });
    return { plan, merge, memory, round: merge.begin() };
  }
}

function partialOf({ shard, place, message, format, bounds }: AcceptWords, { round }: Work) {
  return {
    shard,
    request: round[place]!,
    message,
    ...(format === undefined ? {} : { format }),
    bounds: bounds && fromBinary(TopBoundsSchema, bounds),
  };
}

function roundToWords({ plan, round }: Work): RoundWords {
  const places = new Map<ShardRequest["request"], number>();
  const requests: Uint8Array[] = [];
  const asked = round.map(({ shard, request }) => {
    const place = places.get(request) ?? requests.push(toBinary(plan.method.input, request)) - 1;
    places.set(request, place);
    return { shard, request: place };
  });
  return { requests, asked };
}

function buffersOf(pieces: readonly Uint8Array[]): ArrayBuffer[] {
  return [...new Set(pieces.map(({ buffer }) => buffer as ArrayBuffer))];
}
