import { create, type Message, toBinary } from "@bufbuild/protobuf";
import type { Slices } from "../../accumulator/sliced-sort.ts";
import { Fault } from "../../fault/fault.ts";
import type { MethodPlan } from "../../merge-plan/method-plan.ts";
import { requestWindow, rowsForWindow } from "../../merge-plan/request-window.ts";
import { rowOrder } from "../../merge-plan/row-order.ts";
import type { Clock } from "../../process/clock.ts";
import { inSlices, nextTurn } from "../../process/turn.ts";
import { PartialFormat } from "../../wire/generated/skynetes/v1/shard_pb.ts";
import type { TopBounds } from "../../wire/generated/skynetes/v1/stamp_pb.ts";
import type { CallContext } from "../define-service.ts";
import { encodeReply } from "./encode-reply.ts";
import type { Fields } from "./part-field.ts";
import { rankGroups } from "./rank-groups.ts";

/** A method with its handler, as calls of all transports are answered by it. */
export interface ServedMethod<State> {
  /** `package.Service/Method`. */
  readonly name: string;
  readonly plan: MethodPlan;
  /** Runs the handler and sends what it gives. Returns what is known of the groups that are not sent. */
  answer(request: Message, state: State, context: CallContext, out: PartialOut): Promise<TopBounds | undefined>;
}

/** Where a partial goes. */
export interface PartialOut {
  readonly clock: Clock;
  readonly accept: PartialFormat;
  /** A partial must be one piece. */
  readonly isWhole: boolean;
  /** The partial, or one message, in pieces. False: `room` must be waited for. */
  send(pieces: readonly Uint8Array[], format: PartialFormat): boolean;
  room(signal: AbortSignal): Promise<void>;
}

export type Handler<State> = (request: unknown, state: State, call: CallContext) => unknown;

/** Rows sent in one turn of the event loop at most. */
const ROWS_PER_TURN = 128;

export function servedMethod<State>(plan: MethodPlan, handler: Handler<State>): ServedMethod<State> {
  const { method } = plan;
  const name = `${method.parent.typeName}/${method.name}`;
  return method.methodKind === "unary" ? unaryMethod(name, plan, handler) : streamingMethod(name, plan, handler);
}

/** Handler → rank → encode → send. */
function unaryMethod<State>(name: string, plan: MethodPlan, handler: Handler<State>): ServedMethod<State> {
  return {
    name,
    plan,
    async answer(request, state, context, out) {
      const wanted = rowsWanted(plan, request);
      const answer = (await handler(request, state, context)) as Fields;
      let chosen = answer;
      let bounds: TopBounds | undefined;
      if (plan.merge.kind === "message" && plan.merge.top !== undefined) {
        const ranked = await inSlices(
          chooseGroups(plan, plan.merge.top, request, answer, wanted),
          out.clock,
          context.signal,
        );
        chosen = ranked.fields;
        bounds = ranked.bounds;
      }
      const partial = await inSlices(encodeReply(plan, chosen, out), out.clock, context.signal);
      out.send(partial.pieces, partial.format);
      return bounds;
    },
  };
}

type TopRecipe = Parameters<typeof rankGroups>[1];

function* chooseGroups(
  plan: MethodPlan,
  top: TopRecipe,
  request: Message,
  answer: Fields,
  wanted: number,
): Slices<{ fields: Fields; bounds: TopBounds | undefined }> {
  const name = top.field.localName;
  const groups = (answer[name] ?? []) as Iterable<Fields>;
  const ranked = yield* rankGroups(plan, top, request, groups, wanted);
  return { fields: { ...answer, [name]: ranked.groups }, bounds: ranked.bounds };
}

/** Rows of the handler, in order, no more than asked for, no faster than the caller takes them. */
function streamingMethod<State>(name: string, plan: MethodPlan, handler: Handler<State>): ServedMethod<State> {
  const assertOrder = orderCheck(plan);
  const { output } = plan.method;
  return {
    name,
    plan,
    async answer(request, state, context, out) {
      const wanted = rowsWanted(plan, request);
      const rows = handler(request, state, context) as AsyncIterable<Fields>;
      let sent = 0;
      let previous: Message | undefined;
      for await (const fields of rows) {
        context.signal.throwIfAborted();
        const row = create(output, fields);
        if (previous !== undefined) assertOrder(previous, row);
        previous = row;
        const hasRoom = out.send([toBinary(output, row)], PartialFormat.UNSPECIFIED);
        if (++sent >= wanted) break;
        if (!hasRoom) await out.room(context.signal);
        else if (sent % ROWS_PER_TURN === 0) await nextTurn(context.signal);
      }
      return undefined;
    },
  };
}

/** A shard neither skips nor knows what others have: it sends all that the window may need. */
function rowsWanted(plan: MethodPlan, request: Message): number {
  return rowsForWindow(requestWindow(plan, request)) ?? Number.POSITIVE_INFINITY;
}

/** The gateway refuses rows out of order, naming the shard; here it is seen which field it was, and by whom. */
function orderCheck({ merge }: MethodPlan): (previous: Message, row: Message) => void {
  const columns = merge.kind === "sorted" ? merge.by : [];
  const orders = columns.map((column) => ({ name: column.field.name, order: rowOrder([column]) }));
  return (previous, row) => {
    for (const { name, order } of orders) {
      const difference = order(previous, row);
      if (difference < 0) return;
      if (difference > 0) throw new Fault("internal", `the handler's rows are out of order in field ${name}`);
    }
  };
}
